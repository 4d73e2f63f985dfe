import { queryFromInfo } from '@pothos/plugin-prisma';
import type { Conversation } from '../../generated/prisma/client.ts';
import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { asBadInput, badUserInput } from '../../graphql/errors.ts';
import { decodeId } from '../../ids.ts';
import { searchConversations } from '../lists/list-conversations.ts';
import { ConversationRef } from './conversation.ts';
import { ConversationFilterInput } from './filter.ts';
import { MessageRef } from './message.ts';

builder.queryField('conversation', (t) =>
  t.prismaField({
    type: ConversationRef,
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'One conversation; null when it does not exist.',
    args: { id: t.arg.id({ required: true, description: '`conv_…`' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Conversation', args.id);
      if (!id) return null;
      return services.prisma.conversation.findUnique({
        ...query,
        where: { id, AND: visibleTo(viewer).conversation },
      });
    },
  }),
);

builder.queryField('message', (t) =>
  t.prismaField({
    type: MessageRef,
    nullable: true,
    authScopes: { read: true, participate: true },
    description: 'One message; null when it does not exist.',
    args: { id: t.arg.id({ required: true, description: '`msg_…`' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Message', args.id);
      return id
        ? services.prisma.message.findUnique({ ...query, where: { id, AND: visibleTo(viewer).message } })
        : null;
    },
  }),
);

const OrderField = builder.enumType('ConversationOrderField', {
  description: 'What to order by.',
  values: {
    CREATED_AT: { description: 'When it was started.', value: 'createdAt' },
    UPDATED_AT: { description: 'When something last happened.', value: 'updatedAt' },
  } as const,
});

const Direction = builder.enumType('OrderDirection', {
  description: 'Which way.',
  values: {
    ASC: { description: 'Oldest first.', value: 'asc' },
    DESC: { description: 'Newest first.', value: 'desc' },
  } as const,
});

const ConversationOrder = builder.inputType('ConversationOrder', {
  description: 'Ties are broken by id.',
  fields: (t) => ({
    field: t.field({ type: OrderField, required: true, description: 'What to order by.' }),
    direction: t.field({ type: Direction, required: true, description: 'Which way.' }),
  }),
});

/** When a conversation was started, or when something last happened, by the order asked for. */
const byTime = new Keyset({ at: 'time', id: 'uuid' });

builder.queryField('conversations', (t) =>
  t.connection(
    {
      type: ConversationRef,
      authScopes: { read: true, participate: true },
      description:
        'Conversations, newest activity first unless ordered otherwise. A page holds 1 to 100 (50 when neither `first` nor `last` ' +
        'is given); more is `BAD_USER_INPUT`.',
      args: {
        filter: t.arg({ type: ConversationFilterInput, description: 'Only these.' }),
        orderBy: t.arg({
          type: ConversationOrder,
          required: true,
          defaultValue: { field: 'updatedAt', direction: 'desc' },
          description: 'The order.',
        }),
      },
      resolve: (_root, { filter, orderBy: order, ...args }, context, info) => {
        const { services, viewer } = context;
        if (viewer.confinedTo && filter?.metadata != null) throw badUserInput('`filter.metadata` is for operators.');
        return keysetPage(
          args,
          byTime,
          (row: Conversation) => ({ at: row[order.field], id: row.id }),
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
            return listed.flatMap(({ id, createdAt, updatedAt }) => {
              const row = byId.get(id);
              // The cursor is of the place where the row was listed, should it have moved since.
              return row ? [{ ...row, createdAt, updatedAt }] : [];
            });
          },
        );
      },
    },
    { name: 'ConversationConnection', description: 'A page of conversations.' },
    { name: 'ConversationEdge', description: 'One of a page.' },
  ),
);
