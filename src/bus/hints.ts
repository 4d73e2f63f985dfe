import type { Topic } from './topics.ts';

/**
 * What servers tell each other. The rows are the truth, and a hint only saves waiting. It may be lost, repeated or reordered,
 * and its receiver must reach the same result without it.
 */
export type Hint = ConversationHint | FollowingHint | PresenceHint | LogMovedHint | RevocationHint;

export type ConversationHint =
  /**
   * The conversation's log has reached at least `version`. `organizationId` tells those who follow the organization, too.
   * `settled` names the reply that this change ended. `moved`: lists may hold the conversation now that did not, or no longer.
   */
  | {
      kind: 'log';
      conversationId: string;
      organizationId?: string | undefined;
      version: number;
      settled?: string;
      moved?: true;
    }
  /** Fragment rows of a running reply were committed: a fragment began or is complete. */
  | { kind: 'fragments'; conversationId: string; messageId: string }
  /** Text of a running reply, before it is stored. `offset` counts UTF-16 code units of the fragment. */
  | { kind: 'text'; conversationId: string; messageId: string; fragment: number; offset: number; text: string };

/** Whether other servers want the text of a running reply. It is not sent unless one of them does. */
export type FollowingHint =
  /** The server that generates a reply asks the others. */
  | { kind: 'who-follows'; conversationId: string }
  /** Another server follows the conversation: an answer, or it has just begun to. */
  | { kind: 'follows'; conversationId: string };

/** Whether a hint asks or answers what servers ask each other again when the bus is back: it need not wait for that. */
export function isQuestion({ kind }: Hint): boolean {
  return kind === 'who-follows' || kind === 'follows' || kind === 'who-is-there';
}

/** Who is in a conversation now. There are no rows of this: a lost hint is made up for by the next one. */
export type PresenceHint =
  /** Asks all servers who is there. */
  | { kind: 'who-is-there'; conversationId: string }
  /** Somebody is there. `typing` is left out if there is nothing to say of it. */
  | { kind: 'present'; conversationId: string; person: string; author: HintAuthor; typing?: boolean }
  /** The contact has read up to a position. */
  | { kind: 'read'; conversationId: string; position: number }
  /** Somebody is no longer there, on the server that says so. */
  | { kind: 'absent'; conversationId: string; person: string };

/** Who somebody is, as shown. */
export interface HintAuthor {
  kind: (typeof authorKindsOfHints)[number];
  displayName?: string | null | undefined;
  avatarUrl?: string | null | undefined;
  externalId?: string | null | undefined;
  contactId?: string | null | undefined;
  operatorId?: string | null | undefined;
}

export const authorKindsOfHints = ['END_USER', 'HUMAN_AGENT'] as const;

/** The log has new events. For the server that has the turn of a shared tail, which has not joined the conversations of all. */
export interface LogMovedHint {
  kind: 'log-moved';
}

/** An API key was revoked, and with it the client tokens issued with it. */
export interface RevocationHint {
  kind: 'revoked';
  keyId: string;
}

/** Receives hints. Neither function may throw or block. */
export interface HintListener {
  onHint(hint: Hint): void;
  /** The bus is connected again after an interruption. Hints may have been lost. */
  onReconnect(): void;
}

/**
 * How far a hint goes: to the own listeners and the other servers; to the own listeners alone; or to the other servers alone.
 */
export type Reach = 'EVERYWHERE' | 'HERE' | 'ELSEWHERE';

/** That a server has joined a topic. */
export interface Membership {
  /** Resolves once hints of others about the topic arrive, or will after an `onReconnect`. Never rejects. */
  joined: Promise<void>;
  /** Harmless to repeat. */
  leave(): void;
}

/**
 * Carries hints between servers. A server's own listeners get its hints at once, without a round trip. Hints of others arrive
 * only about topics that the server has joined, and perhaps about some more.
 */
export interface Bus {
  /** Resolves once hints of other servers can arrive. Rejects if the bus cannot be reached. */
  connect(): Promise<void>;
  /** Never throws and never waits. What is published while a send is under way is sent together after it. Default: everywhere. */
  publish(hint: Hint, reach?: Reach): void;
  /** Joins a topic, as often as it is called. */
  join(topic: Topic): Membership;
  /** Returns the function that ends the subscription. */
  subscribe(listener: HintListener): () => void;
  /** Whether hints of other servers can arrive now. */
  isConnected(): boolean;
  /** Sends waiting hints, then disconnects. */
  close(): Promise<void>;
}
