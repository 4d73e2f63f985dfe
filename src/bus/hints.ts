/**
 * What servers tell each other. The rows are the truth, and a hint only saves waiting. It may be lost, repeated or reordered,
 * and its receiver must reach the same result without it.
 */
export type Hint = ConversationHint | PresenceHint | RevocationHint;

export type ConversationHint =
  /**
   * The conversation's log has reached at least `version`. `settled` names the reply that this change ended. `moved`: lists may
   * hold the conversation now that did not, or no longer.
   */
  | { kind: 'log'; conversationId: string; version: number; settled?: string; moved?: true }
  /** Fragment rows of a running reply were committed: a fragment began or is complete. */
  | { kind: 'fragments'; conversationId: string; messageId: string }
  /** Text of a running reply, before it is stored. `offset` counts UTF-16 code units of the fragment. */
  | { kind: 'text'; conversationId: string; messageId: string; fragment: number; offset: number; text: string };

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

/** Carries hints between servers. A server's own listeners get its hints at once, without a round trip. */
export interface Bus {
  /** Resolves once hints of other servers can arrive. Rejects if the bus cannot be reached. */
  connect(): Promise<void>;
  /** Never throws and never waits. Sending is batched. */
  publish(hint: Hint): void;
  /** Returns the function that ends the subscription. */
  subscribe(listener: HintListener): () => void;
  /** Whether hints of other servers can arrive now. */
  isConnected(): boolean;
  /** Sends waiting hints, then disconnects. */
  close(): Promise<void>;
}
