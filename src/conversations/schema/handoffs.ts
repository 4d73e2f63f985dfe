import { endConversation } from '../commands/end.ts';
import { refuseFields, requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { ConversationEndedError, HandedOffError, NotHandedOffError, VersionConflictError } from '../failures.ts';
import { acceptHandoff, endHandoff, startHandoff } from '../commands/handoff.ts';
import { fields } from './inputs.ts';
import { payload, withHandoff } from './payloads.ts';

const StartHandoffInput = builder.inputType('StartHandoffInput', {
  description: 'The handoff to start.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    reason: t.string({ description: 'For operators. At most 1 KiB.' }),
    queue: t.string({ description: 'The group of people who should take it. At most 1 KiB.' }),
    assignee: t.string({
      description: 'If given, the handoff is `ACCEPTED` by this person from its start. At most 1 KiB.',
    }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const StartHandoffPayload = payload('StartHandoffPayload', 'The started handoff.');
withHandoff(StartHandoffPayload);

builder.mutationField('startHandoff', (t) =>
  t.field({
    type: StartHandoffPayload,
    nullable: true,
    authScopes: { write: true, answer: true, askForHuman: true },
    description: 'Asks for a human. A running reply is stopped, and the agent stays silent until the handoff ends.',
    errors: {
      types: [HandedOffError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'StartHandoffResult', description: 'The result of `startHandoff`.' },
    },
    args: { input: t.arg({ type: StartHandoffInput, required: true, description: 'The handoff to start.' }) },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      refuseFields(context.viewer, input, ['queue', 'assignee', 'metadata']);
      return startHandoff(context.services, context.viewer, input);
    },
  }),
);

const AcceptHandoffInput = builder.inputType('AcceptHandoffInput', {
  description: 'The handoff to accept.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    assignee: t.string({ required: true, description: 'The person who takes it. 1 character to 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const AcceptHandoffPayload = payload('AcceptHandoffPayload', 'The accepted handoff.');
withHandoff(AcceptHandoffPayload);

builder.mutationField('acceptHandoff', (t) =>
  t.field({
    type: AcceptHandoffPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'A human whom a program names takes the conversation; operators use `takeOver`. Does nothing if the same assignee has already accepted the handoff.',
    errors: {
      types: [
        HandedOffError,
        NotHandedOffError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
      ],
      union: { name: 'AcceptHandoffResult', description: 'The result of `acceptHandoff`.' },
    },
    args: { input: t.arg({ type: AcceptHandoffInput, required: true, description: 'The handoff to accept.' }) },
    resolve: (_root, { input }, { services, viewer }) => acceptHandoff(services, viewer, input),
  }),
);

const EndHandoffInput = builder.inputType('EndHandoffInput', {
  description: 'The conversation to give back to the agent.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const EndHandoffPayload = payload('EndHandoffPayload', 'The ended handoff.');
withHandoff(EndHandoffPayload);

builder.mutationField('endHandoff', (t) =>
  t.field({
    type: EndHandoffPayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      'Gives the conversation back to the agent. An operator of the role `AGENT` ends what waits or what they have; anything else is ' +
      'a `HandedOffError`.',
    errors: {
      types: [
        HandedOffError,
        NotHandedOffError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
      ],
      union: { name: 'EndHandoffResult', description: 'The result of `endHandoff`.' },
    },
    args: {
      input: t.arg({
        type: EndHandoffInput,
        required: true,
        description: 'The conversation to give back to the agent.',
      }),
    },
    resolve: (_root, { input }, { services, viewer }) =>
      endHandoff(services, viewer, input, { holdsOnly: !viewer.scopes.includes('write') }),
  }),
);

const EndConversationInput = builder.inputType('EndConversationInput', {
  description: 'The conversation to end.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    reason: t.string({ description: 'Written to the event log. At most 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const EndConversationPayload = payload('EndConversationPayload', 'The ended conversation.');

builder.mutationField('endConversation', (t) =>
  t.field({
    type: EndConversationPayload,
    nullable: true,
    authScopes: { write: true, answer: true, end: true },
    description: 'Ends the conversation. No more messages are accepted. Ending it again does nothing.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError],
      union: { name: 'EndConversationResult', description: 'The result of `endConversation`.' },
    },
    args: { input: t.arg({ type: EndConversationInput, required: true, description: 'The conversation to end.' }) },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      return endConversation(context.services, context.viewer, input);
    },
  }),
);
