import { readerOf } from '../../access/person.ts';
import type { Viewer } from '../../access/viewer.ts';
import { badUserInput } from '../../graphql/errors.ts';
import type { ConversationFilter } from '../lists/list-conversations.ts';
import { builder } from '../../graphql/builder.ts';
import { DateTimeRange } from '../../graphql/date-time-range.ts';
import { ConversationStatusRef } from './conversation.ts';

const OpenHandoffStatus = builder.enumType('OpenHandoffStatus', {
  description: 'Progress of the handoff in force.',
  values: {
    WAITING: { description: 'No human has accepted yet.' },
    ACCEPTED: { description: 'A human has taken the conversation.' },
  } as const,
});

export const ConversationFilterInput = builder.inputType('ConversationFilter', {
  description: 'A conversation must match all fields that are given.',
  fields: (t) => ({
    agentId: t.id({ description: 'The agent is this one.' }),
    contactId: t.id({ description: 'The end user is this one.' }),
    inboxId: t.id({ description: 'It arrived through this inbox.' }),
    status: t.field({ type: [ConversationStatusRef], description: 'The status is one of these.' }),
    handoffStatus: t.field({
      type: [OpenHandoffStatus],
      description: 'There is a handoff in force, with one of these statuses.',
    }),
    keyword: t.string({
      description:
        'All of these words occur in the title, or in one text of a message that end users see (in its first 100,000 characters). ' +
        'At most 1 KiB. Only the first 20 words count.',
    }),
    labels: t.stringList({ description: 'Only operators may give it. It has all of these labels.' }),
    unread: t.boolean({
      description:
        'Whether there are messages of the other side after your own mark. Not for an API key, which has none, and not for `conversationChanges`.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'Only operators may give it. The metadata contains this object.',
    }),
    created: t.field({ type: DateTimeRange, description: 'When the conversation was created.' }),
    updated: t.field({ type: DateTimeRange, description: 'When the conversation last changed.' }),
  }),
});

/** Refuses what the viewer may not filter by. */
export function checkFilter(viewer: Viewer, filter: ConversationFilter | null | undefined): void {
  if (!filter) return;
  if (filter.unread != null && readerOf(viewer) === null) {
    throw badUserInput('`filter.unread` is for people: an API key has no read mark.');
  }
  if (!viewer.confinedTo) return;
  for (const name of ['metadata', 'labels'] as const) {
    if (filter[name] != null) throw badUserInput(`\`filter.${name}\` is for operators.`);
  }
}
