import type { Webhook } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { decodeId } from '../../ids.ts';
import { WebhookRef } from './webhook.ts';

builder.queryField('webhook', (t) =>
  t.prismaField({
    type: WebhookRef,
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description: 'One webhook. Null if it does not exist.',
    args: { id: t.arg.id({ required: true, description: 'ID of the webhook, `webhook_…`.' }) },
    resolve: (query, _root, args, { services, viewer: { organizationId } }) => {
      const id = decodeId('Webhook', args.id);
      return id
        ? services.prisma.webhook.findFirst({ ...query, where: { id, organizationId, deletedAt: null } })
        : null;
    },
  }),
);

const byAge = new Keyset({ createdAt: 'time', id: 'uuid' });

builder.queryField('webhooks', (t) =>
  t.connection(
    {
      type: WebhookRef,
      authScopes: { $all: { admin: true, read: true } },
      description: "The organization's webhooks, oldest first.",
      resolve: (_root, args, { services, viewer: { organizationId } }) =>
        keysetPage(
          args,
          byAge,
          (row: Webhook) => row,
          (slice) =>
            services.prisma.webhook.findMany({
              where: { organizationId, deletedAt: null, AND: byAge.between(slice) },
              orderBy: byAge.orderOf(slice),
              take: slice.limit,
            }),
        ),
    },
    { name: 'WebhookConnection', description: 'A page of webhooks.' },
    { name: 'WebhookEdge', description: 'An entry of a page.' },
  ),
);
