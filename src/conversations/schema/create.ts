import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { createConversation } from '../commands/create.ts';
import { IdempotencyMismatchError } from '../failures.ts';
import { MessageAction, MessageInput, StateInput, fields } from './inputs.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const CreateConversationInput = builder.inputType('CreateConversationInput', {
  description: '`{}` is enough: the default agent speaks first.',
  fields: (t) => ({
    agentId: t.id({ description: "Left out: the inbox's agent, or else the organization's default agent." }),
    contactId: t.id({ description: 'The end user.' }),
    inboxId: t.id({ description: 'The channel it arrives by.' }),
    title: t.string({ description: 'For lists. At most 1 KiB.' }),
    message: t.field({ type: MessageInput, description: 'The first message.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'GENERATE_REPLY',
      description: 'With a message it is answered; without one the agent speaks first.',
    }),
    awaitReply: fields.awaitReply(t),
    state: t.field({ type: StateInput, description: 'What steers the agent from the start.' }),
    systemPrompt: t.string({ description: "Added to the agent's own prompt. At most 64 KiB." }),
    corpusId: t.id({ description: "Consulted instead of the agent's own corpus." }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      description: "Over the agent's own; must match the schema of its runtime.",
    }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
    searchMetadata: t.field({
      type: 'JSONObject',
      description: "Handed to the agent's search with each message. At most 64 KiB.",
    }),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const CreateConversationPayload = payload('CreateConversationPayload', 'The conversation, started.');
withMessage(CreateConversationPayload, 'The first message, when one was given.', { always: false });
withReply(CreateConversationPayload, 'Null with `action: NONE`.', { always: false });

builder.mutationField('createConversation', (t) =>
  t.field({
    type: CreateConversationPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      "Starts a conversation; with a message, or with the agent's greeting, or empty (`action: NONE` and no message).",
    errors: {
      types: [NotFoundError, InvalidInputError, IdempotencyMismatchError],
      union: { name: 'CreateConversationResult', description: 'What `createConversation` comes to.' },
    },
    args: { input: t.arg({ type: CreateConversationInput, required: true, description: 'With what it starts.' }) },
    resolve: (_root, { input }, { services, viewer }) => createConversation(services, viewer, input),
  }),
);
