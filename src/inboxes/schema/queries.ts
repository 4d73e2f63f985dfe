import { queryFromInfo } from '@pothos/plugin-prisma';
import { visibleTo } from '../../access/visibility.ts';
import type { Inbox } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { InboxRef } from './inbox.ts';

builder.queryField('inbox', (t) =>
  t.prismaField({
    type: InboxRef,
    nullable: true,
    authScopes: { read: true, participate: true },
    description:
      'One inbox. Null if it does not exist, or is not one that you see: with a client token that of your visit, and those of your conversations.',
    args: { id: t.arg.id({ required: true, description: 'ID of the inbox, `inbox_…`.' }) },
    resolve: (query, _root, args, { services, viewer }) => {
      const id = decodeId('Inbox', args.id);
      return id ? services.prisma.inbox.findUnique({ ...query, where: { id, AND: visibleTo(viewer).inbox } }) : null;
    },
  }),
);

const byName = new Keyset({ name: 'text', id: 'uuid' });

builder.queryField('inboxes', (t) =>
  t.connection(
    {
      type: InboxRef,
      authScopes: { read: true },
      description:
        "The organization's inboxes, ordered by name. Their conversations: `conversations(filter: { inboxId })`.",
      resolve: (_root, args, context, info) =>
        keysetPage(
          args,
          byName,
          (row: Inbox) => row,
          (slice) =>
            context.services.prisma.inbox.findMany({
              ...queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }),
              where: { organizationId: context.viewer.organizationId, AND: byName.between(slice) },
              orderBy: byName.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'InboxConnection', description: 'A page of inboxes.' },
    { name: 'InboxEdge', description: 'An entry of a page.' },
  ),
);
