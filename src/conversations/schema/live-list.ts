import { asBadInput, badUserInput, startOver } from '../../graphql/errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { cancellable } from '../stream/stream.ts';
import {
  type ConversationChange,
  conversationChanges,
  ListTooOldError,
  type LiveListServices,
} from '../lists/live-list.ts';
import { type ConversationFilter, type Lister, matchingConversations } from '../lists/list-conversations.ts';
import { decodeChangeCursor } from '../lists/missed-changes.ts';
import type { EventPosition } from '../log/tail.ts';
import { ConversationRef } from './conversation.ts';
import { checkFilter, ConversationFilterInput } from './filter.ts';

const ConversationChangeKindRef = builder.enumType('ConversationChangeKind', {
  description: 'How a conversation changed in relation to the filter.',
  values: {
    READY: { description: 'The first event: from here on no change is missed.' },
    ENTERED: {
      description: 'New, or it matches the filter now. After resuming also one that has only changed since `after`.',
    },
    UPDATED: { description: 'It changed, and still matches the filter.' },
    LEFT: { description: 'Deleted, or it no longer matches the filter.' },
  } as const,
});

const ConversationChangeRef = builder.objectRef<ConversationChange>('ConversationChange').implement({
  description: 'A change of a conversation in a live list.',
  fields: (t) => ({
    kind: t.expose('kind', { type: ConversationChangeKindRef, description: 'The kind of change.' }),
    cursor: t.expose('cursor', {
      type: 'ChangeCursor',
      description: 'Pass it as `after` to resume. What was told shortly before may be told again.',
    }),
    conversationId: t.id({
      nullable: true,
      description: 'ID of the conversation. Null for `READY`.',
      resolve: ({ conversationId }) => conversationId && encodeId('Conversation', conversationId),
    }),
    conversation: t.prismaField({
      type: ConversationRef,
      nullable: true,
      description: 'The current conversation. Null for `LEFT` and `READY`.',
      resolve: (query, { kind, conversationId: id }, _args, { services }) =>
        kind === 'LEFT' || id === null ? null : services.prisma.conversation.findUnique({ ...query, where: { id } }),
    }),
  }),
});

builder.subscriptionField('conversationChanges', (t) =>
  t.field({
    type: ConversationChangeRef,
    authScopes: { read: true, participate: true },
    description:
      'A live list of conversations, for a client token of its own. `READY` comes first. A change of status or handoff is told at ' +
      'once, all else at most once a second for each conversation. Resumable for an hour; beyond that, or when too much has ' +
      'changed, the stream ends with `START_OVER`: read `conversations` again.',
    args: {
      filter: t.arg({ type: ConversationFilterInput, description: 'Only conversations that match.' }),
      after: t.arg({
        type: 'ChangeCursor',
        description:
          'Tell what has changed since this place: `ConversationConnection.changeCursor` of the page that was read, or the `cursor` of the last ' +
          'change. Left out: from now on.',
      }),
    },
    subscribe: async (_root, args, { services, viewer }) => {
      const filter = args.filter ?? {};
      checkFilter(viewer, filter);
      if (filter.unread != null) throw badUserInput('A live list is not filtered by `unread`.');
      const after = args.after == null ? null : decodeChangeCursor(args.after);
      if (args.after != null && !after) throw badUserInput('The change cursor is malformed.');
      // Tries the filter first: an unusable one is reported as bad input, not as a failure of the stream.
      await matchingConversations(services.pool, viewer, filter, []).catch(asBadInput);
      if (filter.keyword != null) await services.search.queryOf(filter.keyword).catch(asBadInput);
      return cancellable((signal) => orStartOver(services, viewer, filter, after, signal));
    },
    resolve: (change) => change,
  }),
);

async function* orStartOver(
  services: LiveListServices,
  lister: Lister,
  filter: ConversationFilter,
  after: EventPosition | null,
  signal: AbortSignal,
): AsyncGenerator<ConversationChange, void, undefined> {
  try {
    yield* conversationChanges(services, lister, filter, after, signal);
  } catch (error) {
    throw error instanceof ListTooOldError ? startOver(error.message) : error;
  }
}
