import type { Caller } from '../../access/caller.ts';
import { inTransaction } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Committed } from '../log/commit.ts';
import type { ConversationServices } from '../services.ts';
import { settleReply } from '../log/settle.ts';

/** Stops exactly this reply, wherever it runs, and keeps its text. A reply that has ended is left as it is. */
export async function stopReply(
  services: ConversationServices,
  caller: Caller,
  input: { replyId: string },
): Promise<Committed> {
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
  const version =
    message.status === 'IN_PROGRESS' ? await settleRunning(services, caller, conversationId, replyId) : null;
  const head = version === null ? await readHead(services, conversationId) : { version, runningReplyVersion: null };
  return {
    conversationId,
    ...head,
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
): Promise<number | null> {
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
  return version;
}

async function readHead({ prisma }: ConversationServices, conversationId: string) {
  const head = await prisma.conversation.findUnique({
    where: { id: conversationId },
    select: { version: true, runningReplyVersion: true },
  });
  if (!head) throw new NotFoundError(['replyId']);
  return head;
}
