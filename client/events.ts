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

/** A typed part of a message. Handle unknown kinds too: a newer server may send more. */
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
  /** Order within the conversation. There may be gaps. */
  position: number;
  role: 'USER' | 'AGENT' | 'CONTROL' | 'NOTE';
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
  /** For the status `ERROR`: what happened. Safe to show to end users. */
  errorDetail: string | null;
  createdAt: string;
  completedAt: string | null;
}

/** A message as selected by `messageFields`. */
export interface Message extends MessageHead {
  /** Ordered by `index`. */
  fragments: readonly Fragment[];
}

/** Whether the agent or a human answers. */
export type ConversationStatus = 'ACTIVE' | 'HANDED_OFF' | 'ENDED';

interface EventFields {
  /** Give it as `after` to resume after this event. */
  cursor: string;
  conversationId: string;
  occurredAt: string;
}

interface VersionedFields extends EventFields {
  /** The version that this event made. */
  version: number;
  /** As it is now. */
  conversation: { status: ConversationStatus; title: string | null };
}

/**
 * An event as selected by the documents. Handle unknown kinds too: a newer server may send more. They have the fields that all events
 * have.
 */
export type ConversationEvent =
  | (VersionedFields & { __typename: 'MessageCreated' | 'MessageCompleted' | 'MessageErased'; message: Message })
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

/** Whether a subscription's result is an event. The fields of each kind follow from the documents. */
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
