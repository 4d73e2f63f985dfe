import { refuseOperatorInput, requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { rateLimited } from '../../graphql/errors.ts';
import { decodeId } from '../../ids.ts';
import { addAgentMessage } from '../commands/agent-message.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  IdempotencyMismatchError,
  VersionConflictError,
} from '../failures.ts';
import { sendMessage } from '../commands/send.ts';
import {
  AgentAuthorInput,
  companionFields,
  ContentInput,
  MessageAction,
  StateInput,
  userMessageFields,
  fields,
} from './inputs.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const SendMessageInput = builder.inputType('SendMessageInput', {
  description: '`conversationId` and `content` are enough.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    ...userMessageFields(t),
    stateAfter: t.field({ type: StateInput, description: 'Steers the agent from this message on.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'GENERATE_REPLY',
      description: 'In a conversation that is handed off the message is taken and `reply` is null.',
    }),
    runtimeParameters: fields.replyParameters(t),
    awaitReply: fields.awaitReply(t),
    onBusy: fields.onBusy(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const SendMessagePayload = payload(
  'SendMessagePayload',
  'The message, committed, and its reply, begun (or ended, with `awaitReply`).',
);
withMessage(SendMessagePayload, 'The message, committed.', { always: true });
withReply(SendMessagePayload, 'Null with `action: NONE`, and while the conversation is handed off.', { always: false });

builder.mutationField('sendMessage', (t) =>
  t.field({
    type: SendMessagePayload,
    nullable: true,
    authScopes: { write: true, participate: true },
    description: 'Adds a message of the end user, and has it answered unless `action: NONE`.',
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
      ],
      union: { name: 'SendMessageResult', description: 'What `sendMessage` comes to.' },
    },
    args: { input: t.arg({ type: SendMessageInput, required: true, description: 'The message and its handling.' }) },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      refuseOperatorInput(context.viewer, input);
      if (input.action !== 'NONE') await takeReply(context, input.conversationId);
      return sendMessage(context.services, context.viewer, input);
    },
  }),
);

/** Throws `RATE_LIMITED` when no further reply may begin for this person just now. */
async function takeReply({ services, viewer }: GraphQLContext, conversationId: string): Promise<void> {
  const id = decodeId('Conversation', conversationId);
  const refusal = id && (await services.replyLimits.take(viewer, id));
  if (refusal) throw rateLimited(refusal.message, refusal.retryAfter);
}

const AddAgentMessageInput = builder.inputType('AddAgentMessageInput', {
  description: '`conversationId` and `content` are enough.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    content: t.field({ type: ContentInput, required: true, description: 'What it says.' }),
    author: t.field({ type: AgentAuthorInput, description: "Left out: the conversation's agent." }),
    inReplyToId: t.id({ description: 'The message of the same conversation that it answers.' }),
    ...companionFields(t),
    stateAfter: t.field({ type: StateInput, description: 'Steers the agent from this message on.' }),
    onBusy: fields.onBusy(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const AddAgentMessagePayload = payload('AddAgentMessagePayload', 'The message, committed.');
withMessage(AddAgentMessagePayload, 'The message, committed.', { always: true });

builder.mutationField('addAgentMessage', (t) =>
  t.field({
    type: AddAgentMessagePayload,
    nullable: true,
    authScopes: { write: true },
    description: "Adds a message in the agent's name that was written elsewhere or by a human.",
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
      ],
      union: { name: 'AddAgentMessageResult', description: 'What `addAgentMessage` comes to.' },
    },
    args: { input: t.arg({ type: AddAgentMessageInput, required: true, description: 'The message.' }) },
    resolve: (_root, { input }, { services, viewer }) => addAgentMessage(services, viewer, input),
  }),
);
