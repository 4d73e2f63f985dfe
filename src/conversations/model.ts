import type { Author } from '../access/caller.ts';
import type { CallVisibility } from '../access/visible-calls.ts';
import type { Json, JsonObject } from '../json.ts';

/** What steers the agent. */
export interface State {
  playbook: string | null;
  phase: string | null;
  systemMessage: string | null;
  context: Json;
}

/** A field left out stays unchanged; null clears it. */
export type StatePatch = Partial<State>;

/** A fragment as the caller gives it: always complete. */
export type NewFragment =
  | { kind: 'TEXT'; text: string; metadata: JsonObject }
  | { kind: 'FUNCTION_CALL'; name: string; args: JsonObject; metadata: JsonObject; visibility: CallVisibility }
  | {
      kind: 'FUNCTION_RESPONSE';
      name: string;
      callIndex: number | null;
      response: Json;
      failed: boolean;
      metadata: JsonObject;
      visibility: CallVisibility;
    };

/** A document beside a message's text. */
export interface Canvas {
  name: string;
  type: string;
  title: string;
  content: string;
}

/** A message that is complete when it is written. */
export interface NewMessage {
  id: string;
  role: 'USER' | 'AGENT' | 'CONTROL';
  /** Null: the conversation's contact, as END_USER. An AI_AGENT is completed from the conversation's agent. */
  author: Author | null;
  fragments: NewFragment[];
  inReplyToId?: string | null;
  metadata?: JsonObject;
  contentPayload?: JsonObject | null;
  queryMetadata?: JsonObject | null;
  canvas?: Canvas | null;
}

/** A reply that is to be generated. */
export interface NewReply {
  id: string;
  inReplyToId: string | null;
  supersedesId: string | null;
  /** Over those of the agent and the conversation. */
  runtimeParameters: JsonObject;
}

/** The caller's name for one attempt, and what it is compared by. */
export interface IdempotencyKey {
  caller: string;
  key: string;
  inputHash: string;
}
