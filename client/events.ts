/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

interface FragmentFields {
  id: string;
  /** Order within the message, from 0. */
  index: number;
  status: 'IN_PROGRESS' | 'DONE';
  metadata: JsonObject;
}

/** A typed part of a message. A newer server may send further kinds: write a default branch. */
export type Fragment = FragmentFields &
  (
    | { __typename: 'TextFragment'; text: string }
    | { __typename: 'FunctionCallFragment'; name: string; args: JsonObject | null }
    | {
        __typename: 'FunctionResponseFragment';
        name: string;
        callId: string | null;
        response: Json;
        failed: boolean;
      }
  );

/** A message without its fragments. */
export interface MessageHead {
  id: string;
  /** Order within the conversation; gaps are possible. */
  position: number;
  role: 'USER' | 'AGENT' | 'CONTROL';
  status: 'IN_PROGRESS' | 'DONE' | 'STOPPED' | 'ERROR';
  author: {
    kind: 'END_USER' | 'AI_AGENT' | 'HUMAN_AGENT' | 'SYSTEM';
    displayName: string | null;
    avatarUrl: string | null;
  };
  metadata: JsonObject;
  contentPayload: JsonObject | null;
  canvas: { name: string; type: string; title: string; content: string } | null;
  inReplyTo: { id: string } | null;
  /** The earlier reply that this one replaces. */
  supersedes: { id: string } | null;
  /** For the status `ERROR`: what happened, safe to show. */
  errorDetail: string | null;
  createdAt: string;
  completedAt: string | null;
}

/** What `messageFields` selects. */
export interface Message extends MessageHead {
  /** In order of `index`. */
  fragments: readonly Fragment[];
}

/** Which side answers. */
export type ConversationStatus = 'ACTIVE' | 'HANDED_OFF' | 'ENDED';

interface EventFields {
  /** Resume after this event with it. */
  cursor: string;
  conversationId: string;
  occurredAt: string;
}

interface VersionedFields extends EventFields {
  /** That it made. */
  version: number;
  /** As it is now. */
  conversation: { status: ConversationStatus; title: string | null };
}

/**
 * An event as the documents select it. A newer server may send further kinds, which have the fields that all events
 * have: write a default branch.
 */
export type ConversationEvent =
  | (VersionedFields & { __typename: 'MessageCreated' | 'MessageCompleted'; message: Message })
  | (VersionedFields & {
      __typename:
        | 'ConversationCreated'
        | 'StateChanged'
        | 'HandoffStarted'
        | 'HandoffAccepted'
        | 'HandoffEnded'
        | 'ConversationUpdated'
        | 'ConversationEnded';
    })
  | (EventFields & { __typename: 'FragmentStarted'; message: MessageHead; fragment: Fragment })
  | (EventFields & {
      __typename: 'FragmentDelta';
      messageId: string;
      fragmentId: string;
      /** In UTF-16 code units, as in JavaScript. */
      offset: number;
      text: string;
    })
  | (EventFields & { __typename: 'FragmentCompleted'; messageId: string; fragment: Fragment })
  | (EventFields & { __typename: 'ConversationDeleted' });

/** Whether a subscription's result is an event. What the kinds carry follows from the documents. */
export function isConversationEvent(json: unknown): json is ConversationEvent {
  return (
    typeof json === 'object' &&
    json !== null &&
    '__typename' in json &&
    typeof json.__typename === 'string' &&
    'cursor' in json &&
    typeof json.cursor === 'string'
  );
}
