import { builder } from '../../graphql/builder.ts';
import { nameOfEvent } from '../event-names.ts';
import { WebhookEventRef } from './event.ts';

export const WebhookStatusRef = builder.enumType('WebhookStatus', {
  description: 'Whether a webhook is sent anything.',
  values: {
    ON: { description: 'It is sent each event.' },
    OFF: { description: 'It is sent nothing. Events that are committed now are not kept for it: replay them.' },
  } as const,
});

export const WebhookRef = builder.prismaNode('Webhook', {
  description:
    'An endpoint of yours that is sent the log, signed by Standard Webhooks. Each committed event is sent at least once; the first ' +
    'tries of a conversation go in its order.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId, deletedAt: null }),
  fields: (t) => ({
    url: t.expose('url', { type: 'URL', description: 'Where it is sent to, by POST.' }),
    events: t.field({
      type: [WebhookEventRef],
      description: 'Which events. Empty: all, also those of later releases.',
      resolve: ({ events }) => events.map(nameOfEvent),
    }),
    selection: t.exposeString('selection', {
      description:
        'What is sent: a selection on `ConversationEvent`, read with the rights of the API key that gave it.',
    }),
    status: t.expose('status', { type: WebhookStatusRef, description: 'Whether it is sent anything.' }),
    disabledReason: t.exposeString('disabledReason', {
      nullable: true,
      description: 'Why it was switched off. Null while it is on.',
    }),
    disabledAt: t.expose('disabledAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was switched off. Null while it is on.',
    }),
    failingSince: t.expose('failingSince', {
      type: 'DateTime',
      nullable: true,
      description:
        'Since when each try has failed. After five days it is switched off. Null if the last one did not fail.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
  }),
});
