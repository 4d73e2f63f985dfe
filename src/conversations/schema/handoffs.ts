import { endConversation } from '../commands/end.ts';
import { requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { ConversationEndedError, HandedOffError, NotHandedOffError, VersionConflictError } from '../failures.ts';
import { acceptHandoff, endHandoff, startHandoff } from '../commands/handoff.ts';
import * as fields from './input-fields.ts';
import { HandoffRef } from './handoff.ts';
import { payload, type PayloadRef } from './payloads.ts';

const StartHandoffInput = builder.inputType('StartHandoffInput', {
  description: 'Why, where and by whom.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    reason: t.string({ description: 'For operators. At most 1 KiB.' }),
    queue: t.string({ description: 'Who should take it. At most 1 KiB.' }),
    assignee: t.string({ description: 'Given: the handoff begins `ACCEPTED` by this person. At most 1 KiB.' }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. At most 64 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const StartHandoffPayload = payload('StartHandoffPayload', 'The handoff, begun.');
withHandoff(StartHandoffPayload);

builder.mutationField('startHandoff', (t) =>
  t.field({
    type: StartHandoffPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Asks for a human: a running reply is stopped, and the agent stays silent until the handoff ends.',
    errors: {
      types: [HandedOffError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'StartHandoffResult', description: 'What `startHandoff` comes to.' },
    },
    args: { input: t.arg({ type: StartHandoffInput, required: true, description: 'Why, where and by whom.' }) },
    resolve: (_root, { input }, { services, viewer }) => startHandoff(services, viewer, input),
  }),
);

const AcceptHandoffInput = builder.inputType('AcceptHandoffInput', {
  description: 'By whom.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    assignee: t.string({ required: true, description: 'Who takes it. 1 character to 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const AcceptHandoffPayload = payload('AcceptHandoffPayload', 'The handoff, accepted.');
withHandoff(AcceptHandoffPayload);

builder.mutationField('acceptHandoff', (t) =>
  t.field({
    type: AcceptHandoffPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'A human takes the conversation. Accepting a handoff that the same assignee has accepted changes nothing.',
    errors: {
      types: [
        HandedOffError,
        NotHandedOffError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
      ],
      union: { name: 'AcceptHandoffResult', description: 'What `acceptHandoff` comes to.' },
    },
    args: { input: t.arg({ type: AcceptHandoffInput, required: true, description: 'By whom.' }) },
    resolve: (_root, { input }, { services, viewer }) => acceptHandoff(services, viewer, input),
  }),
);

const EndHandoffInput = builder.inputType('EndHandoffInput', {
  description: 'The conversation to give back.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const EndHandoffPayload = payload('EndHandoffPayload', 'The handoff, ended.');
withHandoff(EndHandoffPayload);

builder.mutationField('endHandoff', (t) =>
  t.field({
    type: EndHandoffPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Gives the conversation back to the agent.',
    errors: {
      types: [NotHandedOffError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'EndHandoffResult', description: 'What `endHandoff` comes to.' },
    },
    args: { input: t.arg({ type: EndHandoffInput, required: true, description: 'The conversation to give back.' }) },
    resolve: (_root, { input }, { services, viewer }) => endHandoff(services, viewer, input),
  }),
);

const EndConversationInput = builder.inputType('EndConversationInput', {
  description: 'The conversation to end.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    reason: t.string({ description: 'For the log. At most 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const EndConversationPayload = payload('EndConversationPayload', 'The conversation, ended.');

builder.mutationField('endConversation', (t) =>
  t.field({
    type: EndConversationPayload,
    nullable: true,
    authScopes: { write: true, participate: true },
    description: 'Ends the conversation; nothing more is accepted. Ending twice is harmless.',
    errors: {
      types: [VersionConflictError, NotFoundError, InvalidInputError],
      union: { name: 'EndConversationResult', description: 'What `endConversation` comes to.' },
    },
    args: { input: t.arg({ type: EndConversationInput, required: true, description: 'The conversation to end.' }) },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      return endConversation(context.services, context.viewer, input);
    },
  }),
);

function withHandoff(ref: PayloadRef): void {
  builder.objectField(ref, 'handoff', (t) =>
    t.prismaField({
      type: HandoffRef,
      description: 'As it is now.',
      resolve: (query, { handoffId }, _args, { services }) =>
        services.prisma.handoff.findUniqueOrThrow({ ...query, where: { id: handoffId ?? '' } }),
    }),
  );
}
