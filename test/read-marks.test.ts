import { beforeAll, beforeEach, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { addContact, addOperator, firstOrganization, mintToken } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { record } from './harness/recording.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let organizationId: string;
beforeAll(async () => {
  organizationId = await firstOrganization(server.services);
});

let conversationId: string;
let person: Target;
beforeEach(async () => {
  const contactId = await addContact(server.services, organizationId);
  const message = { content: { text: 'Hello' } };
  conversationId = (await createConversation(server, { contactId, action: 'NONE', message })).conversation.id;
  person = { url: server.url, key: await mintToken(server, { contactId }) };
  for (const text of ['One', 'Two', 'Three']) await answer(text);
});

const answer = (text: string) =>
  ask(
    server,
    `mutation { addAgentMessage(input: { conversationId: "${conversationId}", content: { text: "${text}" } }) { __typename } }`,
  );
interface Marked {
  position?: number;
  conversation?: { unreadCount: number | null; version: number };
  issues?: { path: string[]; code: string }[];
}
const mark = async (position: number, target = person) =>
  (
    await ask<{ marked: Marked }>(
      target,
      `mutation { marked: markRead(input: { conversationId: "${conversationId}", position: ${position} }) {
        ... on MarkReadPayload { position conversation { unreadCount version } }
        ... on InvalidInputError { issues { path code } }
      } }`,
    )
  ).marked;
interface Read {
  conversation: { unreadCount: number | null; contactReadPosition: number | null; version: number };
}
const read = async (target: Target) =>
  (await ask<Read>(target, `{ conversation(id: "${conversationId}") { unreadCount contactReadPosition version } }`))
    .conversation;

test('a mark counts what comes after it, of the other side alone, and raises no version', async () => {
  const { version } = await read(person);
  expect(await read(person)).toEqual({ unreadCount: 3, contactReadPosition: null, version });
  expect(await mark(1)).toEqual({ position: 1, conversation: { unreadCount: 2, version } });
  expect(await read(server)).toEqual({ unreadCount: null, contactReadPosition: 1, version });
  await ask(
    person,
    `mutation { sendMessage(input: { conversationId: "${conversationId}", content: { text: "Mine" }, action: NONE }) { __typename } }`,
  );
  expect((await read(person)).unreadCount).toBe(2);
});

test('a mark goes neither back nor beyond the end', async () => {
  await mark(3);
  expect((await mark(1)).position).toBe(3);
  expect((await mark(4)).issues).toEqual([{ path: ['position'], code: 'OUT_OF_RANGE' }]);
  expect((await mark(-1)).issues).toEqual([{ path: ['position'], code: 'OUT_OF_RANGE' }]);
  expect((await read(server)).contactReadPosition).toBe(3);
});

test('of marks at once the furthest stays', async () => {
  await Promise.all([0, 3, 1, 2, 3, 0, 2].map((position) => mark(position)));
  expect((await read(server)).contactReadPosition).toBe(3);
});

test('counting stops at a hundred', async () => {
  await server.services.pool.query(
    `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version)
      SELECT gen_random_uuid(), $1, $2, n, 'AGENT', '{"kind": "AI_AGENT"}', 'DONE', 1 FROM generate_series(1000, 1200) n`,
    [decodeId('Conversation', conversationId), organizationId],
  );
  expect((await read(person)).unreadCount).toBe(100);
});

test('conversations are listed by whether something in them is unread', async () => {
  const listed = async (unread: boolean) =>
    (
      await ask<{ conversations: { nodes: { id: string }[] }; conversationCount: number }>(
        person,
        `{ conversations(filter: { unread: ${unread} }) { nodes { id } } conversationCount(filter: { unread: ${unread} }) }`,
      )
    ).conversations.nodes.length;
  expect([await listed(true), await listed(false)]).toEqual([1, 0]);
  await mark(3);
  expect([await listed(true), await listed(false)]).toEqual([0, 1]);
});

test('operators have a mark each, which counts what the end user wrote, and is not the end user’s', async () => {
  const contactId = await addContact(server.services, organizationId);
  const message = { content: { text: 'Hello' } };
  conversationId = (await createConversation(server, { contactId, action: 'NONE', message })).conversation.id;
  const endUser = { url: server.url, key: await mintToken(server, { contactId }) };
  await answer('One');
  await ask(
    endUser,
    `mutation { sendMessage(input: { conversationId: "${conversationId}", content: { text: "Two" }, action: NONE }) { __typename } }`,
  );
  const [{ target: kim }, { target: alex }] = [await addOperator(server), await addOperator(server)];
  const isListed = async (target: Target, unread: boolean) =>
    (
      await ask<{ conversations: { nodes: { id: string }[] } }>(
        target,
        `{ conversations(filter: { contactId: "${contactId}", unread: ${unread} }) { nodes { id } } }`,
      )
    ).conversations.nodes.some(({ id }) => id === conversationId);
  const { version } = await read(kim);
  expect(await read(kim)).toEqual({ unreadCount: 2, contactReadPosition: null, version });
  expect(await mark(0, kim)).toEqual({ position: 0, conversation: { unreadCount: 1, version } });
  expect([await isListed(kim, true), await isListed(kim, false)]).toEqual([true, false]);
  expect((await mark(2, kim)).conversation?.unreadCount).toBe(0);
  expect((await mark(1, kim)).position).toBe(2);
  expect([await isListed(kim, true), await isListed(kim, false)]).toEqual([false, true]);
  expect([await isListed(alex, true), await isListed(alex, false)]).toEqual([true, false]);
  expect(await read(alex)).toEqual({ unreadCount: 2, contactReadPosition: null, version });
  expect(await read(endUser)).toEqual({ unreadCount: 1, contactReadPosition: null, version });
  await mark(1, endUser);
  expect(await read(kim)).toEqual({ unreadCount: 0, contactReadPosition: 1, version });
});

test('a key has no mark to list by, and a live list is not filtered by it', async () => {
  const refused = { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] };
  expect(await graphql(server, '{ conversations(filter: { unread: true }) { nodes { id } } }')).toMatchObject(refused);
  const following = 'subscription { conversationChanges(filter: { unread: true }) { kind } }';
  await expect(subscribeWs(person, following).next()).rejects.toMatchObject(refused);
});

test('operators who watch are told how far the end user has read, and nobody else', async () => {
  interface Told {
    conversationPresence: { contactReadPosition: number | null };
  }
  const query = `subscription { conversationPresence(conversationId: "${conversationId}") { contactReadPosition } }`;
  const [watching, own] = [server, person].map((target) => record(subscribeWs<Told>(target, query)));
  if (!watching || !own) throw new Error('Nobody watches.');
  const until = (position: number) =>
    watching.until((events) => events.at(-1)?.conversationPresence.contactReadPosition === position);
  await Promise.all([watching, own].map((each) => each.until((events) => events.length > 0)));
  await mark(1);
  await until(1);
  await mark(3);
  await until(3);
  expect(own.events.every(({ conversationPresence }) => conversationPresence.contactReadPosition === null)).toBe(true);
  await Promise.all([watching.leave(), own.leave()]);
});
