import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { asBadInput } from '../../graphql/errors.ts';
import { present } from '../../graphql/present.ts';
import { MessageRef } from '../../conversations/schema/message.ts';
import { ConversationRef } from '../../conversations/schema/conversation.ts';
import { readRecordFilter } from '../filter.ts';
import { listRecords, type QuestionRecord } from '../list-records.ts';
import { RecordFilterRef } from './filter.ts';

const QuestionRecordRef = builder.objectRef<QuestionRecord>('QuestionRecord').implement({
  description: 'A question and its answer.',
  fields: (t) => ({
    question: t.prismaField({
      type: MessageRef,
      description: 'The message of the end user.',
      resolve: (query, { id }, _args, { services }) =>
        services.prisma.message.findUnique({ ...query, where: { id } }).then(present),
    }),
    answer: t.prismaField({
      type: MessageRef,
      nullable: true,
      description: 'The reply to it, the latest if it was generated anew. Null if none has ended.',
      resolve: (query, { answerId: id }, _args, { services }) =>
        id === null ? null : services.prisma.message.findUnique({ ...query, where: { id } }),
    }),
    conversation: t.prismaField({
      type: ConversationRef,
      description: 'Where it was asked.',
      resolve: (query, { conversationId: id }, _args, { services }) =>
        services.prisma.conversation.findUnique({ ...query, where: { id } }).then(present),
    }),
    askedAt: t.expose('createdAt', { type: 'DateTime', description: 'When the question was asked.' }),
    answeredAt: t.expose('answeredAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the answer ended. Null without one.',
    }),
  }),
});

const byAge = new Keyset({ createdAt: 'time', id: 'uuid' });

builder.queryField('records', (t) =>
  t.connection(
    {
      type: QuestionRecordRef,
      authScopes: { read: true },
      description:
        'Questions of end users with the replies that answer them, oldest question first. Texts are searched for without an index: ' +
        'narrow the days if that takes too long, which is `SERVICE_UNAVAILABLE`, as are more than a few at once.',
      args: { filter: t.arg({ type: RecordFilterRef, required: true, description: 'Which records.' }) },
      resolve: async (_root, { filter: given, ...args }, { services, viewer: { organizationId } }) => {
        const filter = await Promise.resolve(given).then(readRecordFilter).catch(asBadInput);
        return keysetPage(
          args,
          byAge,
          (row: QuestionRecord) => row,
          (slice) =>
            services.searchTurns.run(organizationId, (db) => listRecords(db, { organizationId, filter, ...slice })),
        );
      },
    },
    { name: 'QuestionRecordConnection', description: 'A page of records.' },
    { name: 'QuestionRecordEdge', description: 'An entry of a page.' },
  ),
);
