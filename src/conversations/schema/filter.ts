import { builder } from '../../graphql/builder.ts';
import { ConversationStatusRef } from './conversation.ts';
import { HandoffStatusRef } from './handoff.ts';

const DateTimeRange = builder.inputType('DateTimeRange', {
  description: '`from` included, `to` not; a missing bound is open.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Included.' }),
    to: t.field({ type: 'DateTime', description: 'Not included.' }),
  }),
});

export const ConversationFilterInput = builder.inputType('ConversationFilter', {
  description: 'All that is given must hold.',
  fields: (t) => ({
    agentId: t.id({ description: 'Answered by this agent.' }),
    contactId: t.id({ description: 'Of this end user.' }),
    inboxId: t.id({ description: 'Arrived by this channel.' }),
    status: t.field({ type: [ConversationStatusRef], description: 'Any of these.' }),
    handoffStatus: t.field({ type: [HandoffStatusRef], description: 'Any of these, for the handoff in force.' }),
    metadata: t.field({ type: 'JSONObject', description: 'The metadata contains this object.' }),
    created: t.field({ type: DateTimeRange, description: 'When it was started.' }),
    updated: t.field({ type: DateTimeRange, description: 'When something last happened.' }),
  }),
});
