import { inTransaction } from '../db.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import type { Changed } from './change.ts';
import { encodeCursor, type Position } from './cursor.ts';
import type { Caller, ConversationServices } from './services.ts';
import { settleReply } from './settle.ts';

/** Stops exactly this reply, wherever it runs, and keeps its text. A reply that has ended is left as it is. */
export async function stopReply(
  services: ConversationServices,
  caller: Caller,
  input: { replyId: string },
): Promise<Changed> {
  const replyId = decodeId('Message', input.replyId);
  const message =
    replyId &&
    (await services.prisma.message.findFirst({
      where: { id: replyId, organizationId: caller.organizationId },
      select: { conversationId: true, status: true, runtimeParameters: true },
    }));
  if (!replyId || !message) throw new NotFoundError(['replyId']);
  if (message.runtimeParameters === null) {
    throw new InvalidInputError([{ path: ['replyId'], detail: 'Names a message that is not a generated reply.' }]);
  }
  const { conversationId } = message;
  const position =
    (message.status === 'IN_PROGRESS' && (await settleRunning(services, caller, conversationId, replyId))) ||
    (await currentPosition(services, conversationId));
  return {
    conversationId,
    version: position.version,
    cursor: encodeCursor(conversationId, position),
    messageId: null,
    replyId,
    handoffId: null,
  };
}

async function settleRunning(
  services: ConversationServices,
  caller: Caller,
  conversationId: string,
  replyId: string,
): Promise<Position | null> {
  const resume = await services.runner.suspend(replyId);
  let version: number | null;
  try {
    version = await inTransaction(services.pool, (db) =>
      settleReply(db, { conversationId, replyId, actor: caller.actor }, { status: 'STOPPED' }),
    );
  } catch (error) {
    resume();
    throw error;
  }
  if (version === null) {
    resume();
    return null;
  }
  services.bus.publish({ kind: 'log', conversationId, version, settled: replyId });
  return { version, open: null };
}

async function currentPosition({ prisma }: ConversationServices, conversationId: string): Promise<Position> {
  const conversation = await prisma.conversation.findUnique({
    where: { id: conversationId },
    select: { version: true, generatingVersion: true },
  });
  if (!conversation) throw new NotFoundError(['replyId']);
  const { version, generatingVersion } = conversation;
  return {
    version,
    open: generatingVersion === null ? null : { version: generatingVersion, fragment: 0, place: 0 },
  };
}
