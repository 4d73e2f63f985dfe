import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { replayWebhook } from '../commands/replay.ts';
import { retryDelivery } from '../commands/retry-delivery.ts';
import { testWebhook } from '../commands/test.ts';
import { webhookIdDescription, webhookPayload } from './commands.ts';
import { WebhookDeliveryRef } from './delivery.ts';

/** A payload with the delivery that has this row id. */
function deliveryPayload(name: string, description: string) {
  return builder.objectRef<{ deliveryId: string }>(name).implement({
    description,
    fields: (t) => ({
      delivery: t.prismaField({
        type: WebhookDeliveryRef,
        description: 'The current delivery.',
        resolve: (query, { deliveryId: id }, _args, { services }) =>
          services.prisma.webhookDelivery.findUnique({ ...query, where: { id } }).then(present),
      }),
    }),
  });
}

const TestWebhookInput = builder.inputType('TestWebhookInput', {
  description: 'The webhook to try.',
  fields: (t) => ({ webhookId: t.id({ required: true, description: webhookIdDescription }) }),
});

builder.mutationField('testWebhook', (t) =>
  t.field({
    type: deliveryPayload('TestWebhookPayload', 'The delivery that was begun. Read it again to see how it went.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description: 'Sends an event `webhook.test`, as any other event is sent. The webhook must be on.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'TestWebhookResult', description: 'The result of `testWebhook`.' },
    },
    args: { input: t.arg({ type: TestWebhookInput, required: true, description: 'Which webhook.' }) },
    resolve: (_root, { input }, { services, viewer }) => testWebhook(services, viewer, input),
  }),
);

const RetryDeliveryInput = builder.inputType('RetryDeliveryInput', {
  description: 'The delivery to try again.',
  fields: (t) => ({ deliveryId: t.id({ required: true, description: 'ID of the delivery, `delivery_…`.' }) }),
});

builder.mutationField('retryDelivery', (t) =>
  t.field({
    type: deliveryPayload('RetryDeliveryPayload', 'The delivery, which is tried again.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description:
      'Sends a delivery again at once, whatever its status: the same bytes under the same id. One that has not been tried yet ' +
      'waits its turn.',
    errors: {
      types: [NotFoundError],
      union: { name: 'RetryDeliveryResult', description: 'The result of `retryDelivery`.' },
    },
    args: { input: t.arg({ type: RetryDeliveryInput, required: true, description: 'Which delivery.' }) },
    resolve: (_root, { input }, { services, viewer }) => retryDelivery(services, viewer, input),
  }),
);

const ReplayFrom = builder.inputType('ReplayFrom', {
  description: 'Where a replay begins. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    position: t.field({ type: 'EventPosition', description: 'After this place in the log.' }),
    time: t.field({ type: 'DateTime', description: 'With what happened at this time or later.' }),
  }),
});

const ReplayWebhookInput = builder.inputType('ReplayWebhookInput', {
  description: 'What to send once more.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: webhookIdDescription }),
    from: t.field({ type: ReplayFrom, required: true, description: 'Where to begin.' }),
  }),
});

builder.mutationField('replayWebhook', (t) =>
  t.field({
    type: webhookPayload('ReplayWebhookPayload', 'The webhook, which is sent that part of the log once more.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description:
      'Sends a webhook what was committed from some place in the log until now once more, as new deliveries with ids of their own, ' +
      'beside what happens meanwhile. A further replay takes the place of one that still runs.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'ReplayWebhookResult', description: 'The result of `replayWebhook`.' },
    },
    args: { input: t.arg({ type: ReplayWebhookInput, required: true, description: 'What to send.' }) },
    resolve: (_root, { input }, { services, viewer }) => replayWebhook(services, viewer, input),
  }),
);
