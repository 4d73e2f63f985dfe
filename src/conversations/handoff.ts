import type pg from 'pg';
import { NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import type { Change } from './append.ts';
import { type Changed, commitChange, lockFirst } from './change.ts';
import { HandedOffError } from './failures.ts';
import { InputReader } from './input.ts';
import type { Caller, ConversationServices } from './services.ts';
import { type Command, ruleFor } from './transitions.ts';

interface Target {
  conversationId: string;
  expectedVersion?: number | null | undefined;
}

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
): Promise<Changed> {
  const reader = new InputReader();
  const change = target(services, caller, 'startHandoff', input);
  const handoff = {
    handoffId: services.newId(),
    reason: reader.text(['reason'], input.reason) ?? null,
    queue: reader.text(['queue'], input.queue) ?? null,
    assignee: reader.text(['assignee'], input.assignee) ?? null,
    metadata: reader.object(['metadata'], input.metadata) ?? {},
  };
  reader.finish();
  return commitChange(services, { ...change, lifecycle: { type: 'HandoffStarted', ...handoff } });
}

/** A human takes the conversation. Accepting again as the same assignee changes nothing. */
export async function acceptHandoff(
  services: ConversationServices,
  caller: Caller,
  input: Target & { assignee: string },
): Promise<Changed> {
  const reader = new InputReader();
  const change = target(services, caller, 'acceptHandoff', input);
  const assignee = reader.text(['assignee'], input.assignee) ?? '';
  if (assignee === '') reader.refuse(['assignee'], 'Must not be empty.');
  reader.finish();
  return commitChange(services, change, async (db) => {
    const handoff = await handoffInForce(db, change.conversationId);
    if (!handoff?.acceptedAt) return { lifecycle: { type: 'HandoffAccepted', assignee } };
    if (handoff.assignee === assignee) return {};
    return { refusal: new HandedOffError(change.conversationId, handoff.id) };
  });
}

/** Gives the conversation back to the agent. */
export async function endHandoff(services: ConversationServices, caller: Caller, input: Target): Promise<Changed> {
  const change = target(services, caller, 'endHandoff', input);
  return commitChange(services, { ...change, lifecycle: { type: 'HandoffEnded' } }, lockFirst);
}

/** Ends the conversation, and with it its running reply and its handoff. Ending twice is harmless. */
export async function endConversation(
  services: ConversationServices,
  caller: Caller,
  input: Target & { reason?: string | null | undefined },
): Promise<Changed> {
  const reader = new InputReader();
  const change = target(services, caller, 'endConversation', input);
  const reason = reader.text(['reason'], input.reason) ?? null;
  reader.finish();
  return commitChange(services, { ...change, lifecycle: { type: 'ConversationEnded', reason } }, lockFirst);
}

function target(services: ConversationServices, caller: Caller, command: Command, input: Target): Change {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  return {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(command),
    actor: caller.actor,
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
  };
}

async function handoffInForce(db: pg.PoolClient, conversationId: string) {
  const { rows } = await db.query<{ id: string; assignee: string | null; acceptedAt: Date | null }>({
    text: `SELECT handoff.id, assignee, accepted_at AS "acceptedAt"
      FROM conversation JOIN handoff ON handoff.id = conversation.handoff_id WHERE conversation.id = $1`,
    values: [conversationId],
  });
  return rows[0] ?? null;
}
