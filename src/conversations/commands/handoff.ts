import type { Caller } from '../../access/caller.ts';
import type pg from 'pg';
import { type Committed, commit, lockFirst } from '../log/commit.ts';
import { HandedOffError } from '../failures.ts';
import { InputReader } from './input.ts';
import type { ConversationServices } from '../services.ts';
import { changeOf, type Target } from './target.ts';

export interface StartHandoffInput extends Target {
  reason?: string | null | undefined;
  queue?: string | null | undefined;
  assignee?: string | null | undefined;
  metadata?: unknown;
}

/** Asks for a human. A running reply is stopped in the same transaction, so not a character of it comes after. */
export async function startHandoff(
  services: ConversationServices,
  caller: Caller,
  input: StartHandoffInput,
): Promise<Committed> {
  const reader = new InputReader();
  const change = changeOf(services, caller, 'startHandoff', input);
  const handoff = {
    handoffId: services.newId(),
    reason: reader.text(['reason'], input.reason) ?? null,
    queue: reader.text(['queue'], input.queue) ?? null,
    assignee: reader.text(['assignee'], input.assignee) ?? null,
    metadata: reader.object(['metadata'], input.metadata) ?? {},
  };
  reader.finish();
  return commit(services, { ...change, lifecycle: { type: 'HandoffStarted', ...handoff } });
}

/** A human takes the conversation. Accepting again as the same assignee changes nothing. */
export async function acceptHandoff(
  services: ConversationServices,
  caller: Caller,
  input: Target & { assignee: string },
): Promise<Committed> {
  const reader = new InputReader();
  const change = changeOf(services, caller, 'acceptHandoff', input);
  const assignee = reader.text(['assignee'], input.assignee) ?? '';
  if (assignee === '') reader.refuse(['assignee'], 'Must not be empty.');
  reader.finish();
  return commit(services, change, async (db) => {
    const handoff = await handoffInForce(db, change.conversationId);
    if (!handoff?.acceptedAt) return { lifecycle: { type: 'HandoffAccepted', assignee } };
    if (handoff.assignee === assignee) return {};
    return { refusal: new HandedOffError(change.conversationId, handoff.id) };
  });
}

/** Gives the conversation back to the agent. */
export async function endHandoff(services: ConversationServices, caller: Caller, input: Target): Promise<Committed> {
  const change = changeOf(services, caller, 'endHandoff', input);
  return commit(services, { ...change, lifecycle: { type: 'HandoffEnded' } }, lockFirst);
}

async function handoffInForce(db: pg.PoolClient, conversationId: string) {
  const { rows } = await db.query<{ id: string; assignee: string | null; acceptedAt: Date | null }>({
    text: `SELECT handoff.id, assignee, accepted_at AS "acceptedAt"
      FROM conversation JOIN handoff ON handoff.id = conversation.handoff_id WHERE conversation.id = $1`,
    values: [conversationId],
  });
  return rows[0] ?? null;
}
