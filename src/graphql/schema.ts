import { withinBudget } from './budget.ts';
import { builder } from './builder.ts';
import { describeCredentials } from './credentials.ts';
import { hideFromEndUsers } from './operators-only.ts';
import { enforceStanding } from './standing.ts';
import './scalars.ts';
import './user-errors.ts';
import './node.ts';
import '../access/schema.ts';
import '../agents/schema.ts';
import '../contacts/schema.ts';
import '../inboxes/schema.ts';
import '../conversations/schema.ts';
import '../knowledge/schema.ts';

builder.queryType({ description: 'Reads. Null, not an error, for what does not exist.' });
builder.mutationType({
  description:
    'Each field is null only when it failed with a GraphQL error, so that the other mutations of the same request keep their ' +
    'results. What adds a message takes `idempotencyKey` (1 to 255 characters, remembered per caller for at least 24 hours: the ' +
    'same key and input return the first success, another input is an `IdempotencyMismatchError`); the other changes, but those ' +
    'that make something new, are harmless to repeat. Every change to an existing conversation, but stopping, takes `expectedVersion`: when the ' +
    'conversation has moved on, nothing is written and the result is a `VersionConflictError`; a running reply is reported ' +
    'first, as a `ConversationBusyError`.',
});
builder.subscriptionType({
  description:
    'Over WebSocket (`graphql-transport-ws`) and SSE. Every event is an upsert: folding it twice changes nothing. To follow ' +
    'from a page you have read, pass its `MessageConnection.eventCursor` as `after`.',
});

export const schema = withinBudget(describeCredentials(enforceStanding(hideFromEndUsers(builder.toSchema()))));
