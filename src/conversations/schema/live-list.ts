import { asBadInput } from '../../graphql/errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { cancellable } from '../stream/stream.ts';
import { type ConversationChange, conversationChanges } from '../lists/live-list.ts';
import { matchingConversations } from '../lists/list-conversations.ts';
import { ConversationRef } from './conversation.ts';
import { ConversationFilterInput } from './filter.ts';

const ConversationChangeKindRef = builder.enumType('ConversationChangeKind', {
  description: 'Seen from the filter.',
  values: {
    ENTERED: { description: 'New, or it matches the filter now.' },
    UPDATED: { description: 'Something happened in it.' },
    LEFT: { description: 'Deleted, or it no longer matches the filter.' },
  } as const,
});

const ConversationChangeRef = builder.objectRef<ConversationChange>('ConversationChange').implement({
  description: 'How a conversation moved in relation to the filter of a live list.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ConversationChangeKindRef, description: 'How it moved.' }),
    conversationId: t.id({
      description: 'Which one.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
    conversation: t.prismaField({
      type: ConversationRef,
      nullable: true,
      description: 'As it is now. Null for `LEFT`.',
      resolve: (query, { kind, conversationId }, _args, { services }) =>
        kind === 'LEFT' ? null : services.prisma.conversation.findUnique({ ...query, where: { id: conversationId } }),
    }),
  }),
});

builder.subscriptionField('conversationChanges', (t) =>
  t.field({
    type: ConversationChangeRef,
    authScopes: { read: true },
    description:
      'A live list; a conversation is told of at most once a second. Not resumable: after a reconnect, read `conversations` again.',
    args: { filter: t.arg({ type: ConversationFilterInput, description: 'Only these.' }) },
    subscribe: async (_root, args, { services, viewer }) => {
      const filter = args.filter ?? {};
      // A filter that cannot be used is a fault of the request, not of the stream.
      await matchingConversations(services.pool, viewer.organizationId, filter, []).catch(asBadInput);
      return cancellable((signal) => conversationChanges(services, viewer.organizationId, filter, signal));
    },
    resolve: (change) => change,
  }),
);
