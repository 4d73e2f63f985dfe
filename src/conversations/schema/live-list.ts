import { asBadInput } from '../../graphql/errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { cancellable } from '../stream/stream.ts';
import { type ConversationChange, conversationChanges } from '../lists/live-list.ts';
import { matchingConversations } from '../lists/list-conversations.ts';
import { ConversationRef } from './conversation.ts';
import { checkFilter, ConversationFilterInput } from './filter.ts';

const ConversationChangeKindRef = builder.enumType('ConversationChangeKind', {
  description: 'How a conversation changed in relation to the filter.',
  values: {
    ENTERED: { description: 'New, or it matches the filter now.' },
    UPDATED: { description: 'It changed, and still matches the filter.' },
    LEFT: { description: 'Deleted, or it no longer matches the filter.' },
  } as const,
});

const ConversationChangeRef = builder.objectRef<ConversationChange>('ConversationChange').implement({
  description: 'A change of a conversation in a live list.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ConversationChangeKindRef, description: 'The kind of change.' }),
    conversationId: t.id({
      description: 'ID of the conversation.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
    conversation: t.prismaField({
      type: ConversationRef,
      nullable: true,
      description: 'The current conversation. Null for `LEFT`.',
      resolve: (query, { kind, conversationId }, _args, { services }) =>
        kind === 'LEFT' ? null : services.prisma.conversation.findUnique({ ...query, where: { id: conversationId } }),
    }),
  }),
});

builder.subscriptionField('conversationChanges', (t) =>
  t.field({
    type: ConversationChangeRef,
    authScopes: { read: true, participate: true },
    description:
      'A live list of conversations, for a client token of its own. Each is reported at most once a second. It cannot be resumed: after a reconnect, read `conversations` again.',
    args: { filter: t.arg({ type: ConversationFilterInput, description: 'Only conversations that match.' }) },
    subscribe: async (_root, args, { services, viewer }) => {
      const filter = args.filter ?? {};
      checkFilter(viewer, filter);
      // Tries the filter first: an unusable one is reported as bad input, not as a failure of the stream.
      await matchingConversations(services.pool, viewer, filter, []).catch(asBadInput);
      return cancellable((signal) => conversationChanges(services, viewer, filter, signal));
    },
    resolve: (change) => change,
  }),
);
