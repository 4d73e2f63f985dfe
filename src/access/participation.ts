import { InvalidInputError, NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import { type FinderContext, finders, theOne } from './finders.ts';
import type { Viewer } from './viewer.ts';

/** Throws `NotFoundError` if a client token names a conversation that it may not use. The owner of a conversation never changes. */
export async function requireConversation(context: FinderContext, conversationId: string): Promise<void> {
  if (!context.viewer.confinedTo) return;
  const id = decodeId('Conversation', conversationId);
  if (!id || !(await theOne(finders.Conversation(context, [id])))) throw new NotFoundError(['conversationId']);
}

/** Throws `NotFoundError` if a client token names a reply in a conversation that it may not use. */
export async function requireReply(context: FinderContext, replyId: string): Promise<void> {
  if (!context.viewer.confinedTo) return;
  const id = decodeId('Message', replyId);
  if (!id || !(await theOne(finders.Message(context, [id])))) throw new NotFoundError(['replyId']);
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

/** Throws `InvalidInputError` for fields that a client token may not give. */
export function refuseOperatorInput({ confinedTo }: Viewer, input: SendInput): void {
  if (!confinedTo) return;
  const given = operatorFields.filter((name) => input[name] != null).map((name) => [name]);
  const parts = (input.content.fragments ?? []).flatMap(({ text }, index) => {
    const path = ['content', 'fragments', String(index)];
    if (text == null) return [path];
    return text.metadata == null ? [] : [[...path, 'text', 'metadata']];
  });
  const issues = [...given, ...parts].map((path) => ({
    path,
    detail: 'Is for operators: a client token cannot give it.',
  }));
  if (issues.length > 0) throw new InvalidInputError(issues);
}
