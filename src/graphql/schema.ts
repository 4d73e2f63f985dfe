import { withinBudget } from './budget.ts';
import { builder } from './builder.ts';
import { describeCredentials } from './credentials.ts';
import { hideFromEndUsers } from './operators-only.ts';
import { enforceStanding } from './standing.ts';
import './scalars.ts';
import './user-errors.ts';
import './node.ts';
import { withPlainFields } from './plain-fields.ts';
import '../access/schema.ts';
import '../agents/schema.ts';
import '../attachments/schema.ts';
import '../contacts/schema.ts';
import '../inboxes/schema.ts';
import '../conversations/schema.ts';
import '../email/schema.ts';
import '../knowledge/schema.ts';
import '../jobs/schema.ts';
import '../erasure/schema.ts';
import '../records/schema.ts';
import '../operators/schema.ts';
import '../webhooks/schema.ts';

builder.queryType({ description: 'Reads. An object that does not exist is null, not an error.' });
builder.mutationType({
  description:
    'A field is null only if it failed with a GraphQL error, so that the other mutations of the same request keep their ' +
    'results. A mutation that adds a message takes `idempotencyKey` (1 to 255 characters, kept per caller for at least 24 hours): the ' +
    'same key and input return the first success, another input is an `IdempotencyMismatchError`. The others are safe to repeat, ' +
    'unless they create something. Every change to an existing conversation, except `stopReply`, takes `expectedVersion`: if the ' +
    'conversation has changed since, nothing is written and the result is a `VersionConflictError`. A running reply is reported ' +
    'first, as a `ConversationBusyError`.',
});
builder.subscriptionType({
  description:
    'Over WebSocket (`graphql-transport-ws`) and SSE. Every event is an upsert: applying it twice changes nothing. To follow ' +
    'from a page you have read, pass its `MessageConnection.eventCursor` as `after`.',
});

export const schema = withinBudget(
  describeCredentials(enforceStanding(hideFromEndUsers(withPlainFields(builder.toSchema())))),
);
