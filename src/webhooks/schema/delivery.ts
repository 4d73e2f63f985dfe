import { z } from 'zod';
import type { WebhookDelivery } from '../../generated/prisma/client.ts';
import { builder } from '../../graphql/builder.ts';
import { Keyset, keysetPage } from '../../graphql/connection.ts';
import { encodeId } from '../../ids.ts';
import { nameOfEvent } from '../event-names.ts';
import type { DeliveryAttempt } from '../model.ts';
import { WebhookEventRef } from './event.ts';
import { WebhookRef } from './webhook.ts';

const DeliveryStatusRef = builder.enumType('DeliveryStatus', {
  description: 'How far a delivery has come.',
  values: {
    PENDING: { description: 'It waits for a try.' },
    DELIVERED: { description: 'The endpoint answered with a status from 200 to 299.' },
    FAILED: { description: 'No try is left.' },
  } as const,
});

const attempts = z.array(
  z.object({
    at: z.string(),
    statusCode: z.number().nullable(),
    milliseconds: z.number(),
    error: z.string().nullable(),
  }),
);

const DeliveryAttemptRef = builder.objectRef<DeliveryAttempt>('DeliveryAttempt').implement({
  description: 'One try of a delivery.',
  fields: (t) => ({
    at: t.field({ type: 'DateTime', description: 'When it began.', resolve: ({ at }) => new Date(at) }),
    statusCode: t.exposeInt('statusCode', {
      nullable: true,
      description: 'The HTTP status of the answer. Null if there was none.',
    }),
    milliseconds: t.exposeInt('milliseconds', { description: 'How long it took.' }),
    error: t.exposeString('error', { nullable: true, description: 'Why it failed. Null if it did not.' }),
  }),
});

export const WebhookDeliveryRef = builder.prismaNode('WebhookDelivery', {
  description: 'An event on its way to a webhook. Kept for 30 days, or until its conversation is deleted.',
  id: { field: 'id', description: 'Globally unique ID. Sent as `webhook-id`, the same with each try.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({
    event: t.field({
      type: WebhookEventRef,
      description: 'What it tells of.',
      resolve: ({ event }) => nameOfEvent(event),
    }),
    position: t.expose('position', {
      type: 'EventPosition',
      nullable: true,
      description: 'The place in the log right after the event. Null for a test.',
    }),
    conversationId: t.id({
      nullable: true,
      description: 'ID of the conversation. Null for a test.',
      resolve: ({ conversationId }) => (conversationId === null ? null : encodeId('Conversation', conversationId)),
    }),
    status: t.expose('status', { type: DeliveryStatusRef, description: 'How far it has come.' }),
    attempts: t.field({
      type: [DeliveryAttemptRef],
      description: 'Its tries, oldest first; at most the last 20.',
      resolve: (delivery) => attempts.parse(delivery.attempts),
    }),
    nextAttemptAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it is tried next. Null if it is not, and for a first try, which is made as soon as possible.',
      resolve: ({ status, dueAt }) => (status === 'PENDING' ? dueAt : null),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
  }),
});

const byId = new Keyset({ id: 'uuid' });

builder.objectField(WebhookRef, 'deliveries', (t) =>
  t.connection(
    {
      type: WebhookDeliveryRef,
      description: 'What it was sent, or is to be sent, oldest first. For the newest, ask for `last`.',
      args: { status: t.arg({ type: DeliveryStatusRef, description: 'Only those that have come so far.' }) },
      resolve: ({ id: webhookId, organizationId }, { status, ...args }, { services }) =>
        keysetPage(
          args,
          byId,
          (row: WebhookDelivery) => row,
          async (slice) => {
            const rows = await services.prisma.webhookDelivery.findMany({
              where: { webhookId, organizationId, AND: byId.between(slice), ...(status && { status }) },
              orderBy: byId.orderOf(slice),
              take: slice.limit,
              // As long as all that is sent.
              omit: { payload: true },
            });
            return rows.map((row) => ({ ...row, payload: null }));
          },
        ),
    },
    { name: 'WebhookDeliveryConnection', description: 'A page of deliveries.' },
    { name: 'WebhookDeliveryEdge', description: 'An entry of a page.' },
  ),
);
