import { requireConversation } from '../../access/participation.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { present } from '../../graphql/present.ts';
import { markRead } from '../commands/mark-read.ts';
import { ConversationRef } from './conversation.ts';
import { fields } from './inputs.ts';

builder.prismaObjectFields(ConversationRef, (t) => ({
  unreadCount: t.int({
    nullable: true,
    description:
      'Messages of the other side after your own mark, of the latest 1000, counted to 100. Null for an API key, which has no mark.',
    resolve: ({ id }, _args, { loaders }) => loaders.readMarks.unread.load(id),
  }),
  contactReadPosition: t.int({
    ...operatorsOnly('Up to which position the end user has read. Null when unknown.'),
    resolve: ({ id }, _args, { loaders }) => loaders.readMarks.ofContact.load(id),
  }),
}));

const MarkReadInput = builder.inputType('MarkReadInput', {
  description: 'Up to where you have read.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    position: t.int({ required: true, description: '`Message.position` of the last message that you have read.' }),
  }),
});

const MarkReadPayload = builder.objectRef<{ conversationId: string; position: number }>('MarkReadPayload').implement({
  description: 'The mark as it stands.',
  fields: (t) => ({
    position: t.exposeInt('position', { description: 'Up to where you have read, as far as is known.' }),
    conversation: t.prismaField({
      type: ConversationRef,
      description: 'The conversation. Its `version` has not changed.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('markRead', (t) =>
  t.field({
    type: MarkReadPayload,
    nullable: true,
    authScopes: { answer: true, participate: true },
    description:
      'Marks a conversation as read up to a message. The mark only moves forward, raises no version and is no event. Operators who watch ' +
      '`conversationPresence` are told.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'MarkReadResult', description: 'The result of `markRead`.' },
    },
    args: { input: t.arg({ type: MarkReadInput, required: true, description: 'Up to where.' }) },
    resolve: async (_root, { input }, context) => {
      await requireConversation(context, input.conversationId);
      return markRead(context.services, context.viewer, input);
    },
  }),
);
