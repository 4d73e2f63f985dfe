import { APICallError } from '@ai-sdk/provider';
import { z } from 'zod';
import { RuntimeError } from '../runtime.ts';

type Stage = 'asking' | 'answering';

/**
 * A failure of a model, in words that are safe to show to anybody. Its cause is for the logs: what the provider said, without keys and
 * without anything of the request or the answer.
 */
export function modelFailure(error: unknown, stage: Stage, secrets: readonly string[]): RuntimeError {
  return findRuntimeError(error) ?? new RuntimeError(explain(error, stage), { cause: causeOf(error, secrets) });
}

function explain(error: unknown, stage: Stage): string {
  const status = APICallError.isInstance(error) ? error.statusCode : undefined;
  if (stage === 'answering') {
    if (isUnreadable(error)) return "The model's server sent something that cannot be read.";
    if (!(error instanceof Error)) return "The model's server reported a fault while it answered.";
    return "The model's server broke off its answer.";
  }
  if (status === undefined) {
    if (APICallError.isInstance(error)) return "The model's server could not be reached.";
    return 'The model cannot be asked this.';
  }
  if (status < 300) return "The model's server sent something that cannot be read.";
  if (status === 401 || status === 403) return `The model's server refused the key (${status}).`;
  if (status === 404) return `The model's server does not know the model (${status}).`;
  if (status === 413) return `The conversation is too long for the model (${status}).`;
  if (status === 429 || status === 529) return `The model's server has too much to do (${status}).`;
  if (status < 500) return `The model's server refused the request (${status}).`;
  return `The model's server failed (${status}).`;
}

/** Looks through causes, since clients wrap the errors that they catch. */
function findRuntimeError(error: unknown): RuntimeError | undefined {
  return causes(error).find((each) => each instanceof RuntimeError);
}

function causeOf(error: unknown, secrets: readonly string[]): Error {
  const { data } = z.looseObject({ message: z.string() }).safeParse(error);
  const messages = error instanceof Error ? causes(error).map(({ message }) => message) : [data?.message];
  // The message of such an error quotes the answer.
  let text = isUnreadable(error) ? '' : [...new Set(messages)].filter(Boolean).join(': ');
  for (const secret of secrets) text = text.replaceAll(secret, '[hidden]');
  return new Error(`${error instanceof Error ? error.name : 'reported'}: ${text.slice(0, 500)}`);
}

function isUnreadable(error: unknown): boolean {
  return error instanceof Error && ['AI_JSONParseError', 'AI_TypeValidationError'].includes(error.name);
}

function causes(error: unknown): Error[] {
  const found: Error[] = [];
  for (let each = error; each instanceof Error && found.length < 5; each = each.cause) found.push(each);
  return found;
}
