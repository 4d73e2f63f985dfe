import type { Author } from '../access/caller.ts';
import type { NamedAttachments } from '../attachments/name-in-message.ts';
import type { CallVisibility } from '../access/visible-calls.ts';
import type { Json, JsonObject } from '../json.ts';

/** Information that steers the agent. */
export interface State {
  playbook: string | null;
  phase: string | null;
  systemMessage: string | null;
  context: Json;
}

/** A field left out stays unchanged. Null clears it. */
export type StatePatch = Partial<State>;

/** A fragment given by a caller. It is always complete. */
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

/** A document that a message shows beside its text. */
export interface Canvas {
  name: string;
  type: string;
  title: string;
  content: string;
}

/** A message that is complete when written. */
export interface NewMessage {
  id: string;
  role: 'USER' | 'AGENT' | 'CONTROL' | 'NOTE';
  /** Null means the conversation's contact as END_USER. An AI_AGENT is filled in from the conversation's agent. */
  author: Author | null;
  /** Becomes the conversation's title if it has none and has only begun. */
  title?: string | null;
  fragments: NewFragment[];
  /** Named with the message, in the same statement. */
  attachments?: NamedAttachments | null;
  inReplyToId?: string | null;
  metadata?: JsonObject;
  contentPayload?: JsonObject | null;
  queryMetadata?: JsonObject | null;
  canvas?: Canvas | null;
  /** What the sender's client calls it. Told to `clientIdOf` alone, the caller that gave it. */
  clientId?: string | null;
  clientIdOf?: string | null;
}

/** A reply to be generated. */
export interface NewReply {
  id: string;
  inReplyToId: string | null;
  supersedesId: string | null;
  /** Override those of the agent and the conversation. */
  runtimeParameters: JsonObject;
}

/** The caller's key for a command, with the hash of the command's input. */
export interface IdempotencyKey {
  caller: string;
  key: string;
  inputHash: string;
}
