import { type Caller, participantOf } from '../../access/caller.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { withEndedReply } from './await-reply.ts';
import { type Committed, commit } from '../log/commit.ts';
import { idempotencyOf } from './idempotency.ts';
import { type ContentInput, InputReader, type StateInput } from './input.ts';
import { readOverride } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface SendControlInput {
  conversationId: string;
  content?: ContentInput | null | undefined;
  metadata?: unknown;
  stateAfter?: StateInput | null | undefined;
  action: 'GENERATE_REPLY' | 'NONE';
  runtimeParameters?: unknown;
  awaitReply: boolean;
  onBusy: 'REJECT' | 'INTERRUPT';
  expectedVersion?: number | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Adds a message that only agents and operators see. It can also change the state and make the agent reply. */
export async function sendControl(
  services: ConversationServices,
  caller: Caller,
  input: SendControlInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const speaks = input.action === 'GENERATE_REPLY';
  if (!input.content && !input.stateAfter && !speaks) {
    const detail = 'Give at least one of `content`, `stateAfter` and `action: GENERATE_REPLY`.';
    throw new InvalidInputError([{ path: [], code: 'REQUIRED', detail }]);
  }
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const fragments = input.content ? reader.content(['content'], input.content) : [];
  const metadata = reader.metadata(['metadata'], input.metadata);
  const state = input.stateAfter ? reader.state(['stateAfter'], input.stateAfter) : null;
  const runtimeParameters = await readOverride(services, caller, reader, conversationId, input.runtimeParameters);
  reader.finish();

  const committed = await commit(services, {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(speaks ? 'sendControlForReply' : 'sendControl', input.onBusy),
    actor: caller.actor,
    participant: participantOf(caller),
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
    idempotency: idempotencyOf(caller.id, key, 'sendControl', { ...input }),
    message: { id: services.newId(), role: 'CONTROL', author: caller.actor, fragments, metadata },
    state,
    // The reply does not answer a message of a person.
    reply: speaks ? { id: services.newId(), inReplyToId: null, supersedesId: null, runtimeParameters } : null,
  });
  return input.awaitReply ? withEndedReply(services, caller, committed) : committed;
}
