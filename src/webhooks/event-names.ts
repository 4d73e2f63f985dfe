import { EventType } from '../generated/prisma/enums.ts';

/** The type of a delivery that `testWebhook` makes: no event of the log. */
export const TEST_EVENT = 'WebhookTest';

/** The public name of a type of event: `MessageCreated` is `message.created`. */
export function nameOfEvent(type: string): string {
  const words = type.split(/(?<=[a-z])(?=[A-Z])/).map((word) => word.toLowerCase());
  return `${words.slice(0, -1).join('_')}.${words.at(-1) ?? ''}`;
}

const types = new Map<string, EventType>(Object.values(EventType).map((type) => [nameOfEvent(type), type]));

/** The names of all events that a webhook can be sent. */
export const eventNames: readonly string[] = [...types.keys()];

/** The type of event with this name. Undefined if there is none. */
export function typeOfEvent(name: string): EventType | undefined {
  return types.get(name);
}
