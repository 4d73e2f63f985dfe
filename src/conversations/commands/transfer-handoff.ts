import type { Caller } from '../../access/caller.ts';
import type { Queryable } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { OperatorSuspendedError } from '../../operators/failures.ts';
import { HandedOffError } from '../failures.ts';
import { type Committed, commitUnderLock } from '../log/commit.ts';
import { readHandoff } from '../log/holder.ts';
import type { ConversationServices } from '../services.ts';
import { InputReader } from './input.ts';
import { passOn, type Recipient } from './pass-on.ts';
import { type ConversationInput, targetOf } from './target.ts';

export interface TransferHandoffInput extends ConversationInput {
  /** Exactly one field is given. */
  to: { operatorId?: string | null | undefined; queue?: string | null | undefined };
  reason?: string | null | undefined;
}

/**
 * Hands the conversation on: to an operator, who has it at once, or to a queue, in which it waits. `holdsOnly`: only if it waits or
 * the operator who asks has it. Handing it to whoever has it does nothing.
 */
export async function transferHandoff(
  services: ConversationServices,
  caller: Caller,
  input: TransferHandoffInput,
  { holdsOnly }: { holdsOnly: boolean },
): Promise<Committed> {
  const target = targetOf(caller, 'transferHandoff', input);
  const reader = new InputReader();
  const reason = reader.text(['reason'], input.reason) ?? null;
  const queue = reader.text(['to', 'queue'], input.to.queue) ?? null;
  if (queue?.trim() === '') reader.refuse(['to', 'queue'], 'Must not be empty.', 'REQUIRED');
  reader.finish();
  const newHandoffId = services.newId();

  return commitUnderLock(services, target, async (db, { handoffId }) => {
    if (handoffId === null) return undefined;
    const handoff = await readHandoff(db, handoffId);
    if (holdsOnly && !handoff.isWaiting && handoff.operatorId !== caller.operatorId) {
      throw new HandedOffError(target.conversationId, handoffId);
    }
    const to: Recipient =
      input.to.operatorId == null ? { queue } : await recipient(db, target.organizationId, input.to.operatorId);
    const isThere =
      'operatorId' in to ? handoff.operatorId === to.operatorId : handoff.isWaiting && handoff.queue === to.queue;
    return isThere ? undefined : passOn(db, target, { ...to, reason }, { handoffId, newHandoffId });
  });
}

/** Throws if the organization has no such operator, or they are suspended. */
async function recipient(db: Queryable, organizationId: string, publicId: string): Promise<Recipient> {
  const id = decodeId('Operator', publicId);
  const { rows } = await db.query<{ name: string; isSuspended: boolean }>({
    text: `SELECT name, suspended_at IS NOT NULL AS "isSuspended" FROM operator WHERE id = $1 AND organization_id = $2
      FOR SHARE`,
    values: [id, organizationId],
  });
  const [row] = rows;
  if (!id || !row) throw new NotFoundError(['to', 'operatorId']);
  if (row.isSuspended) throw new OperatorSuspendedError(id);
  return { operatorId: id, assignee: row.name };
}
