import { builder } from '../../graphql/builder.ts';
import { ConversationStatusRef } from './conversation.ts';

const DateTimeRange = builder.inputType('DateTimeRange', {
  description: '`from` included, `to` not; a missing bound is open.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Included.' }),
    to: t.field({ type: 'DateTime', description: 'Not included.' }),
  }),
});

const OpenHandoffStatus = builder.enumType('OpenHandoffStatus', {
  description: 'How far the handoff in force has come.',
  values: {
    WAITING: { description: 'No human has accepted yet.' },
    ACCEPTED: { description: 'A human has it.' },
  } as const,
});

export const ConversationFilterInput = builder.inputType('ConversationFilter', {
  description: 'All that is given must hold.',
  fields: (t) => ({
    agentId: t.id({ description: 'Answered by this agent.' }),
    contactId: t.id({ description: 'Of this end user.' }),
    inboxId: t.id({ description: 'Arrived by this channel.' }),
    status: t.field({ type: [ConversationStatusRef], description: 'Any of these.' }),
    handoffStatus: t.field({ type: [OpenHandoffStatus], description: 'Any of these, for the handoff in force.' }),
    keyword: t.string({
      description:
        'Words that all occur in the title, or in one text of a message that end users see (in its first 100,000 characters). ' +
        'At most 1 KiB; the first 20 count.',
    }),
    metadata: t.field({ type: 'JSONObject', description: 'For operators. The metadata contains this object.' }),
    created: t.field({ type: DateTimeRange, description: 'When it was started.' }),
    updated: t.field({ type: DateTimeRange, description: 'When something last happened.' }),
  }),
});
