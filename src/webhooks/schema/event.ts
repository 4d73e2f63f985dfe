import { builder } from '../../graphql/builder.ts';
import { badUserInput } from '../../graphql/errors.ts';
import { eventNames, nameOfEvent, TEST_EVENT } from '../event-names.ts';

const names = [...eventNames, nameOfEvent(TEST_EVENT)];

export const WebhookEventRef = builder.scalarType('WebhookEvent', {
  description:
    `An event by its name: ${names.map((name) => `\`${name}\``).join(', ')}. More may come. The last one is what ` +
    '`testWebhook` sends; it cannot be chosen.',
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === 'string' && eventNames.includes(value)) return value;
    throw badUserInput(`A WebhookEvent is one of ${eventNames.join(', ')}.`);
  },
});
