import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Conversation } from '../../generated/prisma/client.ts';
import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { asBadInput, badUserInput } from '../../graphql/errors.ts';
import { selectingBelow } from '../../graphql/selection.ts';
import { present } from '../../graphql/present.ts';
import { decodeId } from '../../ids.ts';
import { encodeChangeCursor } from '../lists/missed-changes.ts';
import { readEnd } from '../log/tail.ts';
import { countConversations, searchConversations } from '../lists/list-conversations.ts';
import { ConversationRef } from './conversation.ts';
import { checkFilter, ConversationFilterInput } from './filter.ts';
import { conversationById } from './message-page.ts';
import { MessageRef } from './message.ts';

const selectsChangeCursor = selectingBelow(['changeCursor']);

builder.queryField('conversation', (t) =>
  t.field({
    type: ConversationRef,
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'One conversation. Null if it does not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the conversation, `conv_…`.' }) },
    resolve: (_root, args, context, info) => {
      const id = decodeId('Conversation', args.id);
      return id ? conversationById(id, context, info) : null;
    },
  }),
);

builder.queryField('message', (t) =>
  t.prismaField({
    type: MessageRef,
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'One message. Null if it does not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the message, `msg_…`.' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Message', args.id);
      return id
        ? services.prisma.message.findUnique({ ...query, where: { id, AND: visibleTo(viewer).message } })
        : null;
    },
  }),
);

const OrderField = builder.enumType('ConversationOrderField', {
  description: 'The field to order by.',
  values: {
    CREATED_AT: { description: 'When the conversation was created.', value: 'createdAt' },
    UPDATED_AT: { description: 'When the conversation last changed.', value: 'updatedAt' },
    WAITING_SINCE: {
      description:
        'Since when its handoff waits. Only conversations whose handoff waits are in the list. For operators.',
      value: 'waitingSince',
    },
  } as const,
});

const Direction = builder.enumType('OrderDirection', {
  description: 'The direction of an order.',
  values: {
    ASC: { description: 'Oldest first.', value: 'asc' },
    DESC: { description: 'Newest first.', value: 'desc' },
  } as const,
});

const ConversationOrder = builder.inputType('ConversationOrder', {
  description: 'The order of a list of conversations. Equal values are ordered by ID.',
  fields: (t) => ({
    field: t.field({ type: OrderField, required: true, description: 'The field to order by.' }),
    direction: t.field({ type: Direction, required: true, description: 'The direction of an order.' }),
  }),
});

/** Where `conversationCount` stops at the latest. */
const MOST_COUNTED = 1000;

/** `at` is the value of the field that the list is ordered by. */
const byTime = new Keyset({ at: 'time', id: 'uuid' });

builder.queryField('conversations', (t) =>
  t.connection(
    {
      type: ConversationRef,
      authScopes: { read: true, participate: true },
      description:
        'Conversations, last changed first by default. A page holds 1 to 100 (50 when neither `first` nor `last` ' +
        'is given). More is `BAD_USER_INPUT`.',
      args: {
        filter: t.arg({ type: ConversationFilterInput, description: 'Only conversations that match.' }),
        orderBy: t.arg({
          type: ConversationOrder,
          required: true,
          defaultValue: { field: 'updatedAt', direction: 'desc' },
          description: 'The order of the list.',
        }),
      },
      resolve: async (_root, { filter, orderBy: order, ...args }, context, info) => {
        const { services, viewer } = context;
        checkFilter(viewer, filter);
        if (viewer.confinedTo && order.field === 'waitingSince') throw badUserInput('That order is for operators.');
        // Read before the page, so that the page can only be newer.
        const end = selectsChangeCursor(info) ? await readEnd(services.pool) : null;
        const page = await keysetPage(
          args,
          byTime,
          (row: Conversation & { at: Date }) => row,
          async (slice) => {
            const listed = await searchConversations(services, viewer, {
              filter: filter ?? {},
              order,
              ...slice,
            }).catch(asBadInput);
            const rows = await services.prisma.conversation.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: { id: { in: listed.map(({ id }) => id) } },
            });
            const byId = new Map(rows.map((row) => [row.id, row]));
            return listed.flatMap(({ id, at }) => {
              const row = byId.get(id);
              // The cursor keeps the place at which the row was listed, even if the row has moved since.
              return row ? [{ ...row, ...(order.field !== 'waitingSince' && { [order.field]: at }), at }] : [];
            });
          },
        );
        return { ...page, changeCursor: end && encodeChangeCursor(end) };
      },
    },
    {
      name: 'ConversationConnection',
      description: 'A page of conversations.',
      fields: (t) => ({
        changeCursor: t.field({
          type: 'ChangeCursor',
          description:
            'Pass it as `after` to `conversationChanges` to follow the list from this page. No change is missed, and what is on the page ' +
            'may be told again.',
          resolve: ({ changeCursor }) => present(changeCursor),
        }),
      }),
    },
    { name: 'ConversationEdge', description: 'An entry of a page.' },
  ),
);

builder.queryField('conversationCount', (t) =>
  t.int({
    authScopes: { read: true, participate: true },
    description: 'How many conversations match, counted no further than `upTo`.',
    args: {
      filter: t.arg({ type: ConversationFilterInput, description: 'Only conversations that match.' }),
      upTo: t.arg.int({
        required: true,
        defaultValue: 100,
        description: `Where counting stops: 1 to ${MOST_COUNTED}. That many means "or more".`,
      }),
    },
    resolve: (_root, { filter, upTo }, { services, viewer }) => {
      checkFilter(viewer, filter);
      if (upTo < 1 || upTo > MOST_COUNTED) throw badUserInput(`\`upTo\` must be from 1 to ${MOST_COUNTED}.`);
      return countConversations(services, viewer, { filter: filter ?? {}, upTo }).catch(asBadInput);
    },
  }),
);
