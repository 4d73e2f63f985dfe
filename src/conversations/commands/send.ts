import { type Caller, participantOf } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { NamedAttachments } from '../../attachments/name-in-message.ts';
import { withEndedReply } from './await-reply.ts';
import { withFiles } from './message-files.ts';
import { type Committed, commit } from '../log/commit.ts';
import { idempotencyOf } from './idempotency.ts';
import { type MessageToSend, readMessageToSend } from './message-input.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface SendMessageInput extends MessageToSend {
  conversationId: string;
  action: 'GENERATE_REPLY' | 'NONE';
  awaitReply: boolean;
  onBusy: 'REJECT' | 'INTERRUPT';
  expectedVersion?: number | null | undefined;
}

/** Adds an end user's message and, unless `action` is `NONE`, starts its reply. */
export async function sendMessage(
  services: ConversationServices,
  caller: Caller,
  input: SendMessageInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const read = await readMessageToSend(services, caller, conversationId, input);
  const { key, message, files, state, runtimeParameters } = read;
  const idempotency = idempotencyOf(caller.id, key, 'sendMessage', { ...input });
  const send = (attachments: NamedAttachments | null) =>
    commit(services, {
      conversationId,
      organizationId: caller.organizationId,
      rule: ruleFor('sendMessage', input.onBusy),
      actor: caller.actor,
      participant: participantOf(caller),
      serverId: services.serverId(),
      expectedVersion: input.expectedVersion,
      idempotency,
      message: { ...message, attachments },
      state,
      reply:
        input.action === 'NONE'
          ? null
          : { id: services.newId(), inReplyToId: message.id, supersedesId: null, runtimeParameters },
    });
  const committed = await withFiles(services, caller, { files, path: ['attachments'], idempotency }, send);
  return input.awaitReply ? withEndedReply(services, caller, committed) : committed;
}
