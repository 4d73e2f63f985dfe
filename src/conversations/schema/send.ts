import { refuseOperatorInput, refuseSteering, requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { ContactBlockedError } from '../../contacts/failures.ts';
import { builder } from '../../graphql/builder.ts';
import { takeReply } from './take-reply.ts';
import { decodeId } from '../../ids.ts';
import { addAgentMessage } from '../commands/agent-message.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  NotHandedOffError,
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
  description: 'Only `conversationId` and `content` are required.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    ...userMessageFields(t),
    stateAfter: t.field({ type: StateInput, description: 'The state of the conversation from this message on.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'GENERATE_REPLY',
      description:
        'What to do after the message is committed. In a conversation that is handed off, the message is accepted and no reply starts.',
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
  'The committed message and its reply, which has begun. With `awaitReply` the reply may have ended.',
);
withMessage(SendMessagePayload, 'The committed message.', { always: true });
withReply(SendMessagePayload, 'The reply. Null with `action: NONE`, and while the conversation is handed off.', {
  always: false,
});

builder.mutationField('sendMessage', (t) =>
  t.field({
    type: SendMessagePayload,
    nullable: true,
    authScopes: { write: true, participate: true },
    description: "Adds an end user's message. The agent answers it unless `action` is `NONE`.",
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
        ContactBlockedError,
      ],
      union: { name: 'SendMessageResult', description: 'The result of `sendMessage`.' },
    },
    args: {
      input: t.arg({ type: SendMessageInput, required: true, description: 'The message, and how to handle it.' }),
    },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      refuseOperatorInput(context.viewer, input);
      if (input.action !== 'NONE') await takeReply(context, decodeId('Conversation', input.conversationId));
      return sendMessage(context.services, context.viewer, input);
    },
  }),
);

const AddAgentMessageInput = builder.inputType('AddAgentMessageInput', {
  description: 'Only `conversationId` and `content` are required.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    content: t.field({ type: ContentInput, required: true, description: 'Content of the message.' }),
    author: t.field({
      type: AgentAuthorInput,
      description:
        "Who wrote the message. Default: the conversation's agent. An operator writes as themself, and gives none.",
    }),
    inReplyToId: t.id({ description: 'ID of the message that this one answers, in the same conversation.' }),
    ...companionFields(t),
    stateAfter: t.field({ type: StateInput, description: 'The state of the conversation from this message on.' }),
    onBusy: fields.onBusy(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const AddAgentMessagePayload = payload('AddAgentMessagePayload', 'The committed message.');
withMessage(AddAgentMessagePayload, 'The committed message.', { always: true });

builder.mutationField('addAgentMessage', (t) =>
  t.field({
    type: AddAgentMessagePayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      "Adds a message in the agent's name, written by a human or by a program outside Parley. An operator writes only while they " +
      'have the handoff: see `takeOver`. An API key is free to.',
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        HandedOffError,
        NotHandedOffError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
      ],
      union: { name: 'AddAgentMessageResult', description: 'The result of `addAgentMessage`.' },
    },
    args: { input: t.arg({ type: AddAgentMessageInput, required: true, description: 'The message to add.' }) },
    resolve: (_root, { input }, { services, viewer }) => {
      refuseSteering(viewer, input, ['stateAfter']);
      return addAgentMessage(services, viewer, input);
    },
  }),
);
