import type { Viewer } from '../access/viewer.ts';
import type { PrismaClient } from '../db.ts';
import type { Conversation } from '../generated/prisma/client.ts';

type Row = Pick<Conversation, 'status' | 'runningReplyId' | 'contactId' | 'handoffId'>;

/**
 * Whether a message of the end user would be taken now. Like what follows, read without a lock: the command itself decides under
 * it.
 */
export async function canSend(prisma: PrismaClient, { scopes }: Viewer, row: Row): Promise<boolean> {
  if (!isIdle(row) || !(scopes.includes('write') || scopes.includes('participate'))) return false;
  if (row.contactId === null) return true;
  const contact = await prisma.contact.findUnique({ where: { id: row.contactId } });
  return contact?.blockedAt == null;
}

/** Whether a message in the agent's name would be taken. */
export async function canAnswer(prisma: PrismaClient, { scopes, operatorId }: Viewer, row: Row): Promise<boolean> {
  if (!isIdle(row)) return false;
  return operatorId === null ? scopes.includes('write') : (await holderOf(prisma, row)) === operatorId;
}

/** Whether the operator who asks would have it then, and does not yet. */
export async function canTakeOver(prisma: PrismaClient, { operatorId }: Viewer, row: Row): Promise<boolean> {
  return operatorId !== null && row.status !== 'ENDED' && (await holderOf(prisma, row)) !== operatorId;
}

function isIdle({ status, runningReplyId }: Row): boolean {
  return status !== 'ENDED' && runningReplyId === null;
}

async function holderOf(prisma: PrismaClient, { handoffId }: Row): Promise<string | null> {
  // Look-ups of several rows at the same time become one.
  const handoff = handoffId === null ? null : await prisma.handoff.findUnique({ where: { id: handoffId } });
  return handoff?.operatorId ?? null;
}
