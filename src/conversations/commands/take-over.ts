import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { HandedOffError } from '../failures.ts';
import { type Committed, commitUnderLock } from '../log/commit.ts';
import { type Holder, readHandoff } from '../log/holder.ts';
import { logEvents } from '../log/log-events.ts';
import type { ConversationServices } from '../services.ts';
import { InputReader } from './input.ts';
import { passOn } from './pass-on.ts';
import { type ConversationInput, targetOf } from './target.ts';

export interface TakeOverInput extends ConversationInput {
  /** From whom it may be taken. Exactly one field is given. */
  expectedHolder?: { operatorId?: string | null | undefined; assignee?: string | null | undefined } | null | undefined;
  reason?: string | null | undefined;
}

/**
 * The operator who asks takes the conversation: begins a handoff, accepts the one that waits, or takes it from the expected
 * holder. Throws `HandedOffError` if somebody else has it. Taking what they have already does nothing.
 */
export async function takeOver(
  services: ConversationServices,
  caller: Caller,
  input: TakeOverInput,
): Promise<Committed> {
  const { operatorId } = caller;
  if (operatorId === null) throw new Error('only an operator takes a conversation over');
  const target = targetOf(caller, 'takeOver', input);
  const reader = new InputReader();
  const reason = reader.text(['reason'], input.reason) ?? null;
  const expected = readHolder(reader, input.expectedHolder);
  reader.finish();
  const me = { operatorId, assignee: caller.actor.displayName ?? '' };
  const newHandoffId = services.newId();

  return commitUnderLock(services, target, async (db, { handoffId }) => {
    const begin = () => passOn(db, target, { ...me, reason }, { handoffId, newHandoffId });
    if (handoffId === null) return begin();
    const handoff = await readHandoff(db, handoffId);
    if (handoff.operatorId === operatorId) return undefined;
    if (!handoff.isWaiting) {
      if (!isSame(handoff, expected)) throw new HandedOffError(target.conversationId, handoffId);
      return begin();
    }
    await db.query({
      text: 'UPDATE handoff SET operator_id = $2, assignee = $3, accepted_at = now() WHERE id = $1',
      values: [handoffId, me.operatorId, me.assignee],
    });
    await logEvents(db, target, [{ type: 'HandoffAccepted', handoffId }]);
    return undefined;
  });
}

function readHolder(reader: InputReader, expected: TakeOverInput['expectedHolder']): Holder | null {
  if (!expected) return null;
  if (expected.operatorId != null) {
    const operatorId = decodeId('Operator', expected.operatorId);
    if (!operatorId) throw new NotFoundError(['expectedHolder', 'operatorId']);
    return { operatorId, assignee: null };
  }
  return { operatorId: null, assignee: reader.text(['expectedHolder', 'assignee'], expected.assignee) ?? null };
}

/** An operator is one by their id alone: names change. */
function isSame(holder: Holder, expected: Holder | null): boolean {
  if (!expected || holder.operatorId !== expected.operatorId) return false;
  return holder.operatorId !== null || holder.assignee === expected.assignee;
}
