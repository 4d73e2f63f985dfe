import type { Caller } from '../../access/caller.ts';
import type pg from 'pg';
import { type Committed, commit, commitUnderLock } from '../log/commit.ts';
import { logEvents } from '../log/log-events.ts';
import { readHandoff } from '../log/holder.ts';
import { HandedOffError } from '../failures.ts';
import { InputReader } from './input.ts';
import type { ConversationServices } from '../services.ts';
import { type ConversationInput, targetOf } from './target.ts';

export interface StartHandoffInput extends ConversationInput {
  reason?: string | null | undefined;
  queue?: string | null | undefined;
  assignee?: string | null | undefined;
  metadata?: unknown;
}

/** Asks for a human. A running reply is stopped in the same transaction, so it writes nothing after the handoff. */
export async function startHandoff(
  services: ConversationServices,
  caller: Caller,
  input: StartHandoffInput,
): Promise<Committed> {
  const reader = new InputReader();
  const target = targetOf(caller, 'startHandoff', input);
  const handoff = {
    handoffId: services.newId(),
    reason: reader.text(['reason'], input.reason) ?? null,
    queue: reader.text(['queue'], input.queue) ?? null,
    assignee: reader.text(['assignee'], input.assignee) ?? null,
    metadata: reader.object(['metadata'], input.metadata) ?? {},
  };
  reader.finish();
  return commit(services, { ...target, serverId: null, beginning: { type: 'HandoffStarted', ...handoff } });
}

/** A human takes the conversation. Accepting again as the same assignee does nothing. */
export async function acceptHandoff(
  services: ConversationServices,
  caller: Caller,
  input: ConversationInput & { assignee: string },
): Promise<Committed> {
  const reader = new InputReader();
  const target = targetOf(caller, 'acceptHandoff', input);
  const assignee = reader.text(['assignee'], input.assignee) ?? '';
  if (assignee === '') reader.refuse(['assignee'], 'Must not be empty.', 'REQUIRED');
  reader.finish();
  return commitUnderLock(services, target, async (db, { handoffId }) => {
    if (handoffId === null || (await acceptedBy(db, handoffId)) === assignee) return;
    const { rowCount } = await db.query({
      text: 'UPDATE handoff SET assignee = $2, accepted_at = now() WHERE id = $1 AND accepted_at IS NULL',
      values: [handoffId, assignee],
    });
    if (rowCount === 0) throw new HandedOffError(target.conversationId, handoffId);
    await logEvents(db, target, [{ type: 'HandoffAccepted', handoffId }]);
  });
}

/** Gives the conversation back to the agent. `holdsOnly`: only if it waits or the operator who asks has it. */
export async function endHandoff(
  services: ConversationServices,
  caller: Caller,
  input: ConversationInput,
  { holdsOnly }: { holdsOnly: boolean },
): Promise<Committed> {
  const target = targetOf(caller, 'endHandoff', input);
  return commitUnderLock(services, target, async (db, { handoffId }) => {
    if (handoffId === null) return;
    if (holdsOnly) {
      const { isWaiting, operatorId } = await readHandoff(db, handoffId);
      if (!isWaiting && operatorId !== caller.operatorId) throw new HandedOffError(target.conversationId, handoffId);
    }
    await db.query({
      text: `UPDATE conversation SET status = 'ACTIVE', handoff_id = NULL WHERE id = $1`,
      values: [target.conversationId],
    });
    await markHandoffEnded(db, handoffId);
    await logEvents(db, target, [{ type: 'HandoffEnded', handoffId }]);
  });
}

/** Marks a handoff as ended. The caller has locked its conversation. */
export async function markHandoffEnded(db: pg.PoolClient, handoffId: string): Promise<void> {
  await db.query({ text: 'UPDATE handoff SET ended_at = now() WHERE id = $1', values: [handoffId] });
}

/** The assignee who has accepted the handoff. Null if nobody has, or an operator. */
async function acceptedBy(db: pg.PoolClient, handoffId: string): Promise<string | null> {
  const { rows } = await db.query<{ assignee: string | null }>({
    text: 'SELECT assignee FROM handoff WHERE id = $1 AND accepted_at IS NOT NULL AND operator_id IS NULL',
    values: [handoffId],
  });
  return rows[0]?.assignee ?? null;
}
