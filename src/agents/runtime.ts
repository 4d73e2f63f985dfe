import type { CallVisibility } from '../access/visible-calls.ts';
import type { Json, JsonObject } from '../json.ts';
import type { HttpTool } from './http-tool.ts';
import type { Absence } from './absence.ts';
import type { Playbook } from './playbook.ts';

/** A file of a message. */
export interface TurnAttachment {
  filename: string;
  /** By its bytes, such as `image/png`. */
  contentType: string;
  /** Its size. */
  bytes: number;
  /** Reads a picture; null for what is not one of a kind that models take, or too large for them. */
  read: (() => Promise<Uint8Array>) | null;
}

/** A message of the history as the agent sees it, including control messages and without superseded replies. */
export interface TurnMessage {
  /** Row id of the message. */
  id: string;
  role: 'USER' | 'AGENT' | 'CONTROL';
  text: string;
  metadata: JsonObject;
  /** For the search: the conversation's metadata, overridden by the message's own. Null if there is none. */
  queryMetadata: JsonObject | null;
  /** In their order. Left out: none. */
  attachments?: readonly TurnAttachment[];
}

/** Everything that an agent is given to reply. It knows nothing else of the conversation. */
export interface Turn {
  /** Row id of the organization that the conversation belongs to. */
  organizationId: string;
  agentName: string;
  /** The agent's prompt followed by the conversation's. Null if neither has one. */
  systemPrompt: string | null;
  /** What to say when the agent speaks first. Null leaves it to the runtime. */
  greeting: string | null;
  state: { playbook: string | null; phase: string | null; systemMessage: string | null; context: Json };
  /** The agent's playbook that the state names. `state.systemMessage` replaces its instructions. */
  playbook: Playbook | null;
  /** The operator's tools that the agent may call. */
  tools: HttpTool[];
  /** Oldest first. Without a user message the agent speaks first. */
  history: TurnMessage[];
  /** The parameters of the agent, the conversation and the message, merged in that order and valid for the runtime. */
  parameters: JsonObject;
  /** The corpus to consult. Null if there is none. */
  corpusId: string | null;
  /** When nobody is there to take over, by the hours of the inbox. Null: somebody is, or the conversation has no inbox. */
  absence: Absence | null;
}

/**
 * A part of a reply, in the order of production. Text comes between `text-start` and `text-end`. A `tool-result`
 * names an earlier `tool-call` of the same reply, whose `visibility` says what end users see of both (default: nothing).
 * `state-change` goes to a phase that the present one allows.
 * `handoff-request` makes a human take over once the reply has ended. `usage` adds to the usage so far. The stream of a
 * successful reply ends after `finish`.
 */
export type ReplyPart =
  | { type: 'text-start' }
  | { type: 'text-delta'; text: string }
  | { type: 'text-end'; metadata?: JsonObject }
  | { type: 'tool-call'; callId: string; name: string; args: JsonObject; visibility?: CallVisibility }
  | { type: 'tool-result'; callId: string; response: Json; failed: boolean }
  | { type: 'state-change'; phase: string }
  | { type: 'handoff-request'; reason: string | null }
  | ({ type: 'usage' } & Usage)
  | { type: 'finish' };

/** Tokens of a model. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

/**
 * Generates replies. Implementations stop promptly when the signal aborts, and throw a
 * `RuntimeError` to say what went wrong. Of any other error, clients see only that there was one.
 */
export interface Runtime {
  /** `knowledge`, `model`, … */
  name: string;
  /** The JSON Schema (draft 2020-12) that runtime parameters must match. */
  parametersSchema: JsonObject;
  /** Parts that are there at the same time may come as a list of them, which costs less than one after the other. */
  reply(turn: Turn, signal: AbortSignal): AsyncIterable<ReplyPart | readonly ReplyPart[]>;
}

/** The parts of a reply, one after the other. */
export async function* partsOf(reply: ReturnType<Runtime['reply']>): AsyncGenerator<ReplyPart> {
  for await (const next of reply) yield* [next].flat();
}

/**
 * Why a runtime could not reply, in a sentence that is safe to show to anybody: it becomes `errorDetail`. Any
 * error with this name counts, so that a runtime in a package need not import this module.
 */
export class RuntimeError extends Error {
  override name = 'RuntimeError';

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'RuntimeError';
  }
}
