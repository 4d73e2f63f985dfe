import { InvalidInputError, NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import { type FinderContext, finders, theOne } from './finders.ts';
import type { Viewer } from './viewer.ts';

/** Throws `NotFoundError` if a client token names a conversation that it may not use. A command looks again under its lock. */
export async function requireConversation(context: FinderContext, conversationId: string): Promise<void> {
  if (!context.viewer.confinedTo) return;
  const id = decodeId('Conversation', conversationId);
  if (!id || !(await theOne(finders.Conversation(context, [id])))) throw new NotFoundError(['conversationId']);
}

/**
 * The conversation of a reply that a client token names, by its row id; null for operators. Throws `NotFoundError` if the token
 * may not use it.
 */
export async function requireReply(context: FinderContext, replyId: string): Promise<string | null> {
  if (!context.viewer.confinedTo) return null;
  const id = decodeId('Message', replyId);
  const reply = id && (await theOne(finders.Message(context, [id])));
  if (!reply) throw new NotFoundError(['replyId']);
  return reply.conversationId;
}

/**
 * Fields of `sendMessage` for operators only: who wrote the message, what steers the agent, and what people see as the operator's
 * word. An end user may give text, and a `contentPayload` for programs that know not to trust it.
 */
const operatorFields = [
  'author',
  'contactId',
  'stateAfter',
  'runtimeParameters',
  'queryMetadata',
  'canvas',
  'metadata',
] as const;

interface SendInput extends Partial<Record<(typeof operatorFields)[number], unknown>> {
  content: { fragments?: readonly { text?: { metadata?: unknown } | null | undefined }[] | null | undefined };
}

/** Throws `InvalidInputError` for parts of a message that a client token may not give. `at` is where the message is in the input. */
export function refuseOperatorInput({ confinedTo }: Viewer, input: SendInput, at: string[] = []): void {
  if (!confinedTo) return;
  const given = operatorFields.filter((name) => input[name] != null).map((name) => [...at, name]);
  const parts = (input.content.fragments ?? []).flatMap(({ text }, index) => {
    const path = [...at, 'content', 'fragments', String(index)];
    if (text == null) return [path];
    return text.metadata == null ? [] : [[...path, 'text', 'metadata']];
  });
  refuse([...given, ...parts]);
}

/** Throws `InvalidInputError` for those of these fields that a client token gives. */
export function refuseFields<Input extends object>(
  { confinedTo }: Viewer,
  input: Input,
  names: readonly Extract<keyof Input, string>[],
): void {
  if (confinedTo) refuse(names.filter((name) => input[name] != null).map((name) => [name]));
}

/** Throws `InvalidInputError` for those of these fields that an operator of the role AGENT gives: they steer the agent. */
export function refuseSteering<Input extends object>(
  { operatorId, scopes }: Viewer,
  input: Input,
  names: readonly Extract<keyof Input, string>[],
): void {
  if (operatorId === null || scopes.includes('write')) return;
  const paths = names.filter((name) => input[name] != null).map((name) => [name]);
  refuse(paths, 'Is for operators with the role `ADMIN`.');
}

function refuse(paths: string[][], detail = 'Is for operators: a client token cannot give it.'): void {
  if (paths.length > 0) throw new InvalidInputError(paths.map((path) => ({ path, detail })));
}
