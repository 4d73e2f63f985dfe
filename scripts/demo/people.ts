import type { Client } from 'graphql-ws';
import { z } from 'zod';
import type { ConversationEvent } from '../../client/events.ts';
import { followConversation } from '../../client/follow.ts';
import type { Api } from './api.ts';
import type { Terminal } from './terminal.ts';

/** Who acts in this part of the tour: the page's server, a visitor and an operator, each with a credential of their own. */
interface Cast {
  /** The API with another credential; null for none. */
  as: (key: string | null) => Api;
  connect: (key: string) => Client;
  /** The key of the page's server. */
  key: string;
}

type Events = AsyncIterableIterator<ConversationEvent, void, undefined>;

/** How long the visitor may wait for the operator, in milliseconds. */
const MOST_MS = 30_000;

/** Shows people: somebody known, a visitor of a web page who asks for a human, and the operator who answers them. */
export async function showPeople(terminal: Terminal, { as, connect, key }: Cast, signal: AbortSignal): Promise<void> {
  const server = as(key);
  await knowSomebody();
  const visitor = await visit();
  const conversation = await askForHuman(visitor);
  await answer(visitor, conversation);

  async function knowSomebody(): Promise<void> {
    terminal.heading('6. Say who somebody is');
    terminal.say(
      'Your server names its people by its own ids. A client token lets a browser act as one of them, and only that.',
    );
    terminal.operation('upsertContact(externalId: "u-1042", displayName: "Ada")');
    const { upserted } = await server.ask(
      `mutation { upserted: upsertContact(input: { externalId: "u-1042", displayName: "Ada" }) {
        ... on UpsertContactPayload { created contact { id } } ... on UserError { detail } } }`,
      {},
      z.object({ upserted: z.object({ created: z.boolean(), contact: z.object({ id: z.string() }) }) }),
    );
    terminal.row('contact', upserted.contact.id);
    terminal.operation('createClientToken(for: Ada, grants: [START_CONVERSATION])');
    const { minted } = await server.ask(
      `mutation ($id: ID!) { minted: createClientToken(input: { for: { contactId: $id }, grants: [START_CONVERSATION] }) {
        ... on CreateClientTokenPayload { token } ... on UserError { detail } } }`,
      { id: upserted.contact.id },
      z.object({ minted: z.object({ token: z.string() }) }),
    );
    const { viewer } = await as(minted.token).ask(
      '{ viewer { kind grants contact { displayName } } }',
      {},
      z.object({
        viewer: z.object({
          kind: z.string(),
          grants: z.array(z.string()),
          contact: z.object({ displayName: z.string() }),
        }),
      }),
    );
    terminal.row('viewer', `${viewer.kind} of ${viewer.contact.displayName}, who may ${viewer.grants.join(', ')}`);
  }

  async function visit(): Promise<string> {
    terminal.heading('7. A stranger visits your page');
    terminal.say(
      'A web chat takes visitors without an account. Their browser gets a token of its own, with no server between.',
    );
    terminal.operation('createInbox(name: "Shop", channel: WEB_CHAT)');
    const { made } = await server.ask(
      `mutation { made: createInbox(input: { name: "Shop", channel: WEB_CHAT }) {
        ... on CreateInboxPayload { inbox { publicKey } } ... on UserError { detail } } }`,
      {},
      z.object({ made: z.object({ inbox: z.object({ publicKey: z.string() }) }) }),
    );
    const { publicKey } = made.inbox;
    terminal.row('publicKey', publicKey);
    terminal.operation(`startVisit(inboxKey: "${publicKey}"), without any credential`);
    const { visited } = await as(null).ask(
      `mutation ($key: String!) { visited: startVisit(input: { inboxKey: $key }) {
        ... on StartVisitPayload { token contact { id anonymous } } ... on UserError { detail } } }`,
      { key: publicKey },
      z.object({ visited: z.object({ token: z.string(), contact: z.object({ id: z.string() }) }) }),
    );
    terminal.row('visitor', `${visited.contact.id}, anonymous`);
    return visited.token;
  }

  async function askForHuman(token: string) {
    terminal.heading('8. The visitor asks for a human');
    terminal.say('From then on the agent is silent, and the conversation waits for somebody.');
    const text = 'My order has not arrived.';
    terminal.operation(`as the visitor: createConversation(message: "${text}")`);
    const { begun } = await as(token).ask(
      `mutation ($text: String!) { begun: createConversation(input: { message: { content: { text: $text } }, action: NONE }) {
        ... on CreateConversationPayload { cursor conversation { id } } ... on UserError { detail } } }`,
      { text },
      z.object({ begun: z.object({ cursor: z.string(), conversation: z.object({ id: z.string() }) }) }),
    );
    const { id } = begun.conversation;
    terminal.row('begun', id);
    terminal.operation('as the visitor: startHandoff(reason: "I want to talk to a person")');
    await as(token).ask(
      `mutation ($id: ID!) { asked: startHandoff(input: { conversationId: $id, reason: "I want to talk to a person" }) {
        ... on StartHandoffPayload { conversation { status } } ... on UserError { detail } } }`,
      { id },
      z.object({ asked: z.object({ conversation: z.object({ status: z.literal('HANDED_OFF') }) }) }),
    );
    terminal.row('status', 'HANDED_OFF, waiting');
    return { id, cursor: begun.cursor };
  }

  async function answer(token: string, { id, cursor }: { id: string; cursor: string }): Promise<void> {
    terminal.heading('9. An operator takes over and answers');
    terminal.say(
      'Robin works with a token of their own. What they write reaches the visitor at once, under their name.',
    );
    const { hired } = await server.ask(
      `mutation { hired: createOperator(input: { name: "Robin" }) {
        ... on CreateOperatorPayload { operator { id } } ... on UserError { detail } } }`,
      {},
      z.object({ hired: z.object({ operator: z.object({ id: z.string() }) }) }),
    );
    const { minted } = await server.ask(
      `mutation ($id: ID!) { minted: createOperatorToken(input: { operatorId: $id }) {
        ... on CreateOperatorTokenPayload { token } ... on UserError { detail } } }`,
      { id: hired.operator.id },
      z.object({ minted: z.object({ token: z.string() }) }),
    );
    const robin = as(minted.token);
    const events = watchAsVisitor(connect(token), { id, cursor });
    terminal.operation('as Robin: takeOver');
    await robin.ask(
      'mutation ($id: ID!) { taken: takeOver(input: { conversationId: $id }) { __typename } }',
      { id },
      z.object({ taken: z.object({ __typename: z.literal('TakeOverPayload') }) }),
    );
    await until(events, ({ __typename }) => __typename === 'HandoffAccepted');
    terminal.row('visitor', 'sees that somebody is there');
    terminal.operation('as Robin: addAgentMessage("Hello, I am Robin. …")');
    const text = 'Hello, I am Robin. Your parcel is at the depot, and will be with you tomorrow.';
    await robin.ask(
      `mutation ($id: ID!, $text: String!) {
        written: addAgentMessage(input: { conversationId: $id, content: { text: $text } }) { __typename } }`,
      { id, text },
      z.object({ written: z.object({ __typename: z.literal('AddAgentMessagePayload') }) }),
    );
    const event = await until(events, (next) => next.__typename === 'MessageCreated');
    if (event.__typename !== 'MessageCreated') return;
    const { author, fragments } = event.message;
    const read = fragments.map((fragment) => (fragment.__typename === 'TextFragment' ? fragment.text : '')).join('');
    terminal.row('visitor', `reads from ${author.displayName ?? 'somebody'}: ${read}`);
    terminal.blank();
    terminal.say('The visitor has read it live, on a socket that was there before it was written.');
  }

  function watchAsVisitor(client: Client, { id, cursor }: { id: string; cursor: string }): Events {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(MOST_MS)]);
    return followConversation(client, { conversationId: id, after: cursor, signal: inTime });
  }

  /** The next event of that kind. */
  async function until(events: Events, isIt: (event: ConversationEvent) => boolean): Promise<ConversationEvent> {
    for (let next = await events.next(); next.done !== true; next = await events.next()) {
      if (isIt(next.value)) return next.value;
    }
    signal.throwIfAborted();
    throw new Error('This is not as it should be: the visitor did not see what happened.');
  }
}
