import { isJsonObject } from '../../json.ts';

type Maybe<T> = T | null | undefined;

/** What an OpenAI-compatible server sends with each event, as far as it is used. */
export interface ChatChunk {
  choices: Choice[];
  usage?: Maybe<ChatUsage>;
}

/** The report of a fault. */
export interface FaultChunk {
  error: { message: string };
}

interface Choice {
  delta?: Maybe<Delta>;
  finish_reason?: Maybe<string>;
}

interface Delta {
  content?: Maybe<string | ContentPart[]>;
  /** Text of a refusal; some servers send what is no text. */
  refusal?: unknown;
  reasoning_content?: Maybe<string>;
  reasoning?: Maybe<string>;
  tool_calls?: Maybe<CallDelta[]>;
}

export interface ContentPart {
  type: string;
  text?: unknown;
  thinking?: unknown;
}

export interface CallDelta {
  index?: Maybe<number>;
  id?: Maybe<string>;
  function: { name?: Maybe<string>; arguments?: Maybe<string> };
  extra_content?: Maybe<{ google?: Maybe<{ thought_signature?: Maybe<string> }> }>;
}

export interface ChatUsage {
  prompt_tokens?: Maybe<number>;
  completion_tokens?: Maybe<number>;
  prompt_tokens_details?: Maybe<{ cached_tokens?: Maybe<number> }>;
  completion_tokens_details?: Maybe<{ reasoning_tokens?: Maybe<number> }>;
}

/** Checks by hand, since this is done for each token. It takes what the schema of the provider's client takes. */
export function isChatChunk(value: unknown): value is ChatChunk {
  if (!isJsonObject(value)) return false;
  const { id, created, model, choices, usage } = value;
  return (
    isText(id) &&
    isNumber(created) &&
    isText(model) &&
    Array.isArray(choices) &&
    choices.every(isChoice) &&
    (isMissing(usage) || isUsage(usage))
  );
}

export function isFaultChunk(value: unknown): value is FaultChunk {
  if (!isJsonObject(value) || !isJsonObject(value.error)) return false;
  const { message, type, code } = value.error;
  return typeof message === 'string' && isText(type) && (isText(code) || typeof code === 'number');
}

function isChoice(value: unknown): value is Choice {
  if (!isJsonObject(value)) return false;
  const { delta, finish_reason } = value;
  return isText(finish_reason) && (isMissing(delta) || isDelta(delta));
}

function isDelta(value: unknown): value is Delta {
  if (!isJsonObject(value)) return false;
  const { role, content, reasoning_content, reasoning, tool_calls } = value;
  return (
    (isMissing(role) || role === 'assistant' || role === '') &&
    (isText(content) || (Array.isArray(content) && content.every(isContentPart))) &&
    isText(reasoning_content) &&
    isText(reasoning) &&
    (isMissing(tool_calls) || (Array.isArray(tool_calls) && tool_calls.every(isCallDelta)))
  );
}

function isContentPart(value: unknown): value is ContentPart {
  return isJsonObject(value) && typeof value.type === 'string';
}

function isCallDelta(value: unknown): value is CallDelta {
  if (!isJsonObject(value) || !isJsonObject(value.function)) return false;
  const { index, id, extra_content: extra } = value;
  const { name, arguments: args } = value.function;
  if (!isNumber(index) || !isText(id) || !isText(name) || !isText(args)) return false;
  if (isMissing(extra)) return true;
  if (!isJsonObject(extra)) return false;
  return isMissing(extra.google) || (isJsonObject(extra.google) && isText(extra.google.thought_signature));
}

function isUsage(value: unknown): value is ChatUsage {
  if (!isJsonObject(value)) return false;
  const { prompt_tokens_details: prompt, completion_tokens_details: completion } = value;
  return (
    areNumbers(value, ['prompt_tokens', 'completion_tokens', 'total_tokens']) &&
    (isMissing(prompt) || areNumbers(prompt, ['cached_tokens'])) &&
    (isMissing(completion) ||
      areNumbers(completion, ['reasoning_tokens', 'accepted_prediction_tokens', 'rejected_prediction_tokens']))
  );
}

function areNumbers(value: unknown, names: readonly string[]): boolean {
  return isJsonObject(value) && names.every((name) => isNumber(value[name]));
}

function isMissing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function isText(value: unknown): value is Maybe<string> {
  return typeof value === 'string' || isMissing(value);
}

function isNumber(value: unknown): value is Maybe<number> {
  return typeof value === 'number' || isMissing(value);
}
