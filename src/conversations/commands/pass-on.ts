import type pg from 'pg';
import { append, type Beginning, type Target } from '../log/append.ts';
import { readHandoff } from '../log/holder.ts';
import { logEvents } from '../log/log-events.ts';
import { ruleFor } from '../log/transitions.ts';
import { markHandoffEnded } from './handoff.ts';

/** Who is to have a conversation: an operator, with the name to show, or whoever of a queue takes it. */
export type Recipient = { operatorId: string; assignee: string } | { queue: string | null };

/**
 * Begins a handoff that is accepted by an operator, or waits in a queue. One that is in force ends, and hands its reason and its
 * metadata on: each has one holder for all its life, so the handoffs of a conversation say who had it when. The agent does not
 * answer in between. The caller has locked the conversation. Returns the id of the new handoff.
 */
export async function passOn(
  db: pg.PoolClient,
  target: Target,
  to: Recipient & { reason?: string | null },
  { handoffId, newHandoffId }: { handoffId: string | null; newHandoffId: string },
): Promise<string> {
  const before = handoffId === null ? null : await readHandoff(db, handoffId);
  if (before) {
    await markHandoffEnded(db, before.id);
    await logEvents(db, target, [{ type: 'HandoffEnded', handoffId: before.id }]);
  }
  const beginning: Beginning = {
    type: 'HandoffStarted',
    handoffId: newHandoffId,
    reason: to.reason ?? before?.reason ?? null,
    queue: 'queue' in to ? to.queue : (before?.queue ?? null),
    assignee: 'operatorId' in to ? to.assignee : null,
    ...('operatorId' in to && { operatorId: to.operatorId }),
    metadata: before?.metadata ?? {},
  };
  // The rule of the command was applied when the row was locked.
  const rule = { ...ruleFor('startHandoff'), handedOff: 'OK', running: 'OK' } as const;
  const appended = await append(db, { ...target, rule, expectedVersion: null, serverId: null, beginning });
  if (appended.outcome !== 'OK') throw new Error(`A handoff could not begin: ${appended.outcome}.`);
  return newHandoffId;
}
