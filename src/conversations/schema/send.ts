import { refuseOperatorInput, requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { addAgentMessage } from '../agent-message.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  IdempotencyMismatchError,
  VersionConflictError,
} from '../failures.ts';
import { sendMessage } from '../send.ts';
import {
  awaitReplyDescription,
  conversationIdDescription,
  expectedVersionDescription,
  idempotencyKeyDescription,
} from './descriptions.ts';
import { AuthorInput, CanvasInput, ContentInput, MessageAction, OnBusy, StateInput } from './inputs.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const SendMessageInput = builder.inputType('SendMessageInput', {
  description: '`conversationId` and `content` are enough.',
  fields: (t) => ({
    conversationId: t.id({ required: true, description: conversationIdDescription }),
    content: t.field({ type: ContentInput, required: true, description: 'What it says.' }),
    author: t.field({ type: AuthorInput, description: 'Who wrote it, when it is not the contact.' }),
    contactId: t.id({ description: "The person who wrote it, when it is not the conversation's contact." }),
    canvas: t.field({ type: CanvasInput, description: 'A document beside the text.' }),
    metadata: t.field({ type: 'JSONObject', description: 'Visible to the end user. At most 64 KiB.' }),
    contentPayload: t.field({
      type: 'JSONObject',
      description: 'A machine-readable companion to the content. At most 64 KiB.',
    }),
    queryMetadata: t.field({ type: 'JSONObject', description: "Handed to the agent's search. At most 64 KiB." }),
    stateAfter: t.field({ type: StateInput, description: 'Steers the agent from this message on.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'GENERATE_REPLY',
      description: 'In a conversation that is handed off the message is taken and `reply` is null.',
    }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      description: 'For this reply alone, over those of the conversation.',
    }),
    awaitReply: t.boolean({ required: true, defaultValue: false, description: awaitReplyDescription }),
    onBusy: t.field({ type: OnBusy, required: true, defaultValue: 'REJECT', description: 'While a reply runs.' }),
    expectedVersion: t.int({ description: expectedVersionDescription }),
    idempotencyKey: t.string({ description: idempotencyKeyDescription }),
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
      return sendMessage(context.services, context.viewer, input);
    },
  }),
);

const AddAgentMessageInput = builder.inputType('AddAgentMessageInput', {
  description: '`author.kind` says whether an agent or a human wrote it.',
  fields: (t) => ({
    conversationId: t.id({ required: true, description: conversationIdDescription }),
    content: t.field({ type: ContentInput, required: true, description: 'What it says.' }),
    author: t.field({ type: AuthorInput, description: "Left out: the conversation's agent." }),
    inReplyToId: t.id({ description: 'The message of the same conversation that it answers.' }),
    canvas: t.field({ type: CanvasInput, description: 'A document beside the text.' }),
    metadata: t.field({ type: 'JSONObject', description: 'Visible to the end user. At most 64 KiB.' }),
    contentPayload: t.field({
      type: 'JSONObject',
      description: 'A machine-readable companion to the content. At most 64 KiB.',
    }),
    stateAfter: t.field({ type: StateInput, description: 'Steers the agent from this message on.' }),
    onBusy: t.field({ type: OnBusy, required: true, defaultValue: 'REJECT', description: 'While a reply runs.' }),
    expectedVersion: t.int({ description: expectedVersionDescription }),
    idempotencyKey: t.string({ description: idempotencyKeyDescription }),
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
