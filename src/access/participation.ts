import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { PrismaClient } from '../db.ts';
import { decodeId } from '../ids.ts';
import type { Viewer } from './viewer.ts';
import { visibleTo } from './visibility.ts';

interface Context {
  services: { prisma: PrismaClient };
  viewer: Viewer;
}

/** Throws `NotFoundError` when a client token names a conversation that is not its own. Whose it is never changes. */
export async function requireConversation({ services, viewer }: Context, conversationId: string): Promise<void> {
  if (!viewer.confinedTo) return;
  const id = decodeId('Conversation', conversationId);
  const where = { id: id ?? '', AND: visibleTo(viewer).conversation };
  const found = id && (await services.prisma.conversation.findUnique({ where, select: { id: true } }));
  if (!found) throw new NotFoundError(['conversationId']);
}

/** Throws `NotFoundError` when a client token names a reply that is not in a conversation of its own. */
export async function requireReply({ services, viewer }: Context, replyId: string): Promise<void> {
  if (!viewer.confinedTo) return;
  const id = decodeId('Message', replyId);
  const where = { id: id ?? '', AND: visibleTo(viewer).message };
  const found = id && (await services.prisma.message.findUnique({ where, select: { id: true } }));
  if (!found) throw new NotFoundError(['replyId']);
}

/**
 * What of `sendMessage` is for operators: who wrote it, what steers the agent, and what is shown to people as the operator's
 * word. An end user gives text, and a `contentPayload` for programs that know whose it is.
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

/** Throws `InvalidInputError` for what a client token may not say. */
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
