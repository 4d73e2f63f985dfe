import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { withEndedReply } from './await-reply.ts';
import { type Committed, commit } from '../log/commit.ts';
import { idempotencyOf } from './idempotency.ts';
import { InputReader, type StateInput } from './input.ts';
import { type MessageInput, readUserMessage } from './message-input.ts';
import { readOverride } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface SendMessageInput extends MessageInput {
  conversationId: string;
  stateAfter?: StateInput | null | undefined;
  action: 'GENERATE_REPLY' | 'NONE';
  runtimeParameters?: unknown;
  awaitReply: boolean;
  onBusy: 'REJECT' | 'INTERRUPT';
  expectedVersion?: number | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Adds an end user's message and, unless `action` is `NONE`, starts its reply. */
export async function sendMessage(
  services: ConversationServices,
  caller: Caller,
  input: SendMessageInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const message = await readUserMessage(services, caller, reader, [], input);
  const state = input.stateAfter ? reader.state(['stateAfter'], input.stateAfter) : null;
  const runtimeParameters = await readOverride(services, caller, reader, conversationId, input.runtimeParameters);
  reader.finish();

  const committed = await commit(services, {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor('sendMessage', input.onBusy),
    actor: caller.actor,
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
    idempotency: idempotencyOf(caller.id, key, 'sendMessage', { ...input }),
    message,
    state,
    reply:
      input.action === 'NONE'
        ? null
        : { id: services.newId(), inReplyToId: message.id, supersedesId: null, runtimeParameters },
  });
  return input.awaitReply ? withEndedReply(services, caller, committed) : committed;
}
