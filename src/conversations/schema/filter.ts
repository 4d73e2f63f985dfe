import { readerOf } from '../../access/person.ts';
import type { Viewer } from '../../access/viewer.ts';
import { builder } from '../../graphql/builder.ts';
import { DateTimeRange } from '../../graphql/date-time-range.ts';
import { badUserInput } from '../../graphql/errors.ts';
import type { ConversationFilter } from '../lists/list-conversations.ts';
import { ConversationStatusRef } from './conversation.ts';

const OpenHandoffStatus = builder.enumType('OpenHandoffStatus', {
  description: 'Progress of the handoff in force.',
  values: {
    WAITING: { description: 'No human has accepted yet.' },
    ACCEPTED: { description: 'A human has taken the conversation.' },
  } as const,
});

const AssigneeFilter = builder.inputType('AssigneeFilter', {
  description: 'Who has a handoff. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    me: t.boolean({ description: 'You, for an operator. It must be true.' }),
    operatorId: t.id({ description: 'This operator, `oper_…`.' }),
    nobody: t.boolean({ description: 'Nobody has taken it: it waits. It must be true.' }),
  }),
});

/** Refuses what only operators may filter by, and what means nothing. */
export function checkFilter({ confinedTo, operatorId }: Viewer, filter: ConversationFilter | null | undefined): void {
  if (filter?.unread != null && readerOf({ confinedTo, operatorId }) === null) {
    throw badUserInput('`filter.unread` is for people: an API key has no read mark.');
  }
  if (!filter) return;
  for (const name of ['metadata', 'labels', 'assignedTo'] as const) {
    if (confinedTo && filter[name] != null) throw badUserInput(`\`filter.${name}\` is for operators.`);
  }
  const { me, nobody } = filter.assignedTo ?? {};
  if (me === false || nobody === false) throw badUserInput('What `filter.assignedTo` is given must be true.');
  if (me && operatorId === null) throw badUserInput('`filter.assignedTo.me` is for the credential of an operator.');
}

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
    assignedTo: t.field({
      type: AssigneeFilter,
      description: 'Only operators may give it. There is a handoff in force, and this one has it.',
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
