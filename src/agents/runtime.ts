import type { CallVisibility } from '../access/visible-calls.ts';
import type { Json, JsonObject } from '../json.ts';
import type { HttpTool } from './http-tool.ts';
import type { Playbook } from './playbook.ts';

/** One message of the history, as the agent may see it: hidden control messages included, superseded replies left out. */
export interface TurnMessage {
  role: 'USER' | 'AGENT' | 'CONTROL';
  text: string;
  metadata: JsonObject;
  /** For the search: the message's own over the conversation's; null when there is none. */
  queryMetadata: JsonObject | null;
}

/** Everything an agent is given to answer with. It knows nothing else of the conversation. */
export interface Turn {
  agentName: string;
  /** The agent's prompt followed by the conversation's own; null when neither has one. */
  systemPrompt: string | null;
  /** What to say when the agent speaks first; null leaves it to the runtime. */
  greeting: string | null;
  state: { playbook: string | null; phase: string | null; systemMessage: string | null; context: Json };
  /** The playbook that the state names, as the agent has it now; `state.systemMessage` takes the place of its instructions. */
  playbook: Playbook | null;
  /** What the operator lets the agent call. */
  tools: HttpTool[];
  /** Oldest first. Without a user message the agent speaks first. */
  history: TurnMessage[];
  /** The agent's, the conversation's and the message's parameters, merged in that order and valid for the runtime. */
  parameters: JsonObject;
  /** The knowledge to consult; null when there is none. */
  corpusId: string | null;
}

/**
 * A piece of a reply, in the order it is produced. Text parts come between `text-start` and `text-end`; a `tool-result`
 * names an earlier `tool-call` of the same reply, whose `visibility` says what end users see of both (left out: nothing); `state-change` goes to a phase that the present one leads to;
 * `handoff-request` has a human take over once the reply has ended; `usage` adds to what was used before. The stream of a
 * reply that succeeds ends after `finish`.
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
 * A way of answering. Implementations stop promptly when the signal aborts, and throw a
 * `RuntimeError` to say what went wrong; of any other error only its existence is told.
 */
export interface Runtime {
  /** `knowledge`, `model`, … */
  name: string;
  /** The JSON Schema (draft 2020-12) that runtime parameters must match. */
  parametersSchema: JsonObject;
  reply(turn: Turn, signal: AbortSignal): AsyncIterable<ReplyPart>;
}

/**
 * Why a runtime could not answer, in a sentence that is safe to show to anybody: its message goes into `errorDetail`. Any
 * error of this name is one, so that a runtime that comes as a package need not import this module.
 */
export class RuntimeError extends Error {
  override name = 'RuntimeError';

  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'RuntimeError';
  }
}
