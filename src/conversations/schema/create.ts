import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { refuseFields, refuseOperatorInput } from '../../access/participation.ts';
import { builder } from '../../graphql/builder.ts';
import { createConversation } from '../commands/create.ts';
import { ContactBlockedError } from '../../contacts/failures.ts';
import { ContactIdentityInput } from '../../contacts/schema/inputs.ts';
import { IdempotencyMismatchError } from '../failures.ts';
import { MessageAction, MessageInput, StateInput, fields } from './inputs.ts';
import { takeReply } from './take-reply.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const CreateConversationInput = builder.inputType('CreateConversationInput', {
  description: 'No field is required. With `{}` the default agent speaks first.',
  fields: (t) => ({
    agentId: t.id({
      description: "The agent that answers. Default: the inbox's agent, or else the organization's default agent.",
    }),
    contactId: t.id({ description: 'The end user.' }),
    contact: t.field({
      type: ContactIdentityInput,
      description: 'The end user, in place of `contactId`. Created or changed as by `upsertContact`.',
    }),
    inboxId: t.id({ description: 'The inbox through which the conversation arrives. Default: that of your visit.' }),
    continues: t.id({
      description: 'The ended conversation that this one goes on from. Its contact is the default of `contactId`.',
    }),
    title: t.string({
      description: 'Title to show in lists. At most 1 KiB. Left out: made from the first message of the end user.',
    }),
    message: t.field({ type: MessageInput, description: 'The first message.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'GENERATE_REPLY',
      description: '`GENERATE_REPLY`: the agent answers `message`, or speaks first if there is none.',
    }),
    awaitReply: fields.awaitReply(t),
    state: t.field({ type: StateInput, description: 'The state of the conversation at its start.' }),
    systemPrompt: t.string({ description: "Added to the agent's own prompt. At most 64 KiB." }),
    corpusId: t.id({ description: "Consulted instead of the agent's own corpus." }),
    runtimeParameters: t.field({
      type: 'JSONObject',
      description: "Override the agent's defaults. Must match the schema of its runtime.",
    }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
    searchMetadata: t.field({
      type: 'JSONObject',
      description: "Passed to the agent's search with each message. At most 64 KiB.",
    }),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

/** A client token begins the conversation of its own person, with the default agent or that of the inbox. */
const operatorFields = [
  'agentId',
  'contactId',
  'contact',
  'state',
  'systemPrompt',
  'corpusId',
  'runtimeParameters',
  'metadata',
  'searchMetadata',
] as const;

const CreateConversationPayload = payload('CreateConversationPayload', 'The new conversation.');
withMessage(CreateConversationPayload, 'The first message. Null if none was given.', { always: false });
withReply(CreateConversationPayload, 'The first reply. Null with `action: NONE`.', { always: false });

builder.mutationField('createConversation', (t) =>
  t.field({
    type: CreateConversationPayload,
    nullable: true,
    authScopes: { write: true, startConversation: true },
    description:
      "Creates a conversation: with a message, with the agent's greeting, or empty (`action: NONE` and no message). " +
      'A client token begins its own conversations: with a title, a message, and an inbox that the person has written to before.',
    errors: {
      types: [NotFoundError, InvalidInputError, IdempotencyMismatchError, ContactBlockedError],
      union: { name: 'CreateConversationResult', description: 'The result of `createConversation`.' },
    },
    args: {
      input: t.arg({ type: CreateConversationInput, required: true, description: 'The conversation to create.' }),
    },
    resolve: async (_root, { input }, context) => {
      const { services, viewer } = context;
      refuseFields(viewer, input, operatorFields);
      if (input.message) refuseOperatorInput(viewer, input.message, ['message']);
      if (viewer.confinedTo && input.action !== 'NONE') await takeReply(context, services.newId());
      return createConversation(services, viewer, input);
    },
  }),
);
