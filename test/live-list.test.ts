import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { readMissedChanges } from '../src/conversations/lists/missed-changes.ts';
import { readEnd } from '../src/conversations/log/tail.ts';
import { UnavailableError } from '../src/errors.ts';
import { decodeId } from '../src/ids.ts';
import { SearchTurns } from '../src/search-turns.ts';
import { addContact, addOrganization, firstOrganization, mintToken } from './harness/access.ts';
import { ask, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { startServer, useServer } from './harness/server.ts';
import type { Stream } from './harness/stream.ts';

const server = useServer();
let elsewhere: App & { key: string };
beforeAll(async () => {
  elsewhere = await startServer(server.databaseUrl);
});
afterAll(() => elsewhere.close());

interface Change {
  kind: 'READY' | 'ENTERED' | 'UPDATED' | 'LEFT';
  cursor: string;
  conversationId: string | null;
  conversation: { status: string; title: string | null } | null;
}
type Changes = Stream<{ conversationChanges: Change }>;

const following = `subscription ($filter: ConversationFilter, $after: ChangeCursor) {
  conversationChanges(filter: $filter, after: $after) { kind cursor conversationId conversation { status title } }
}`;
const follow = (target: Target, variables: { filter?: object; after?: string } = {}): Changes =>
  subscribeWs(target, following, variables);

async function nextOf(changes: Changes): Promise<Change> {
  const { value } = await changes.next();
  if (!value) throw new Error('The list has ended.');
  return value.conversationChanges;
}

/** A list that is followed: what comes from now on is told. */
async function followed(target: Target, variables: Parameters<typeof follow>[1] = {}): Promise<Changes> {
  const changes = follow(target, variables);
  expect(await nextOf(changes)).toMatchObject({ kind: 'READY', conversationId: null, conversation: null });
  return changes;
}

const begin = async (target: Target, input: object = {}) =>
  (await createConversation(target, { action: 'NONE', ...input })).conversation.id;
const update = (target: Target, command: string, id: string, more = '') =>
  ask(target, `mutation { ${command}(input: { conversationId: "${id}"${more} }) { __typename } }`);
const rename = (target: Target, id: string, title: string) =>
  update(target, 'updateConversation', id, `, title: "${title}"`);
const pageOf = async (target: Target) => {
  const { conversations } = await ask<{ conversations: { changeCursor: string; nodes: { id: string }[] } }>(
    target,
    '{ conversations { changeCursor nodes { id } } }',
  );
  return { cursor: conversations.changeCursor, ids: conversations.nodes.map(({ id }) => id) };
};

/** A transaction that has written and stays open, on a connection of its own. */
async function holdOpen(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: server.databaseUrl });
  // The database is dropped at last, with all its connections.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE held_open (); BEGIN; DROP TABLE held_open');
  return () => client.end();
}

test('each change may return as much as any other answer, however much those before it did', async () => {
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  const id = await begin(server, { contactId });
  const MiB = 1024 * 1024;
  for (let i = 0; i < 5; i += 1) {
    await send(server, { conversationId: id, content: { text: 'x'.repeat(MiB) }, action: 'NONE' });
  }
  const changes = subscribeWs<{ change: { conversation: { messages: { nodes: { text: string }[] } } | null } }>(
    server,
    `subscription ($contactId: ID) {
      change: conversationChanges(filter: { contactId: $contactId }) {
        conversation { messages(last: 5) { nodes { text } } }
      }
    }`,
    { contactId },
  );
  expect((await changes.next()).value).toEqual({ change: { conversation: null } });
  for (const title of ['One', 'Two', 'Three', 'Four']) {
    await rename(server, id, title);
    const { value } = await changes.next();
    expect(value?.change.conversation?.messages.nodes.map(({ text }) => text.length)).toEqual(Array(5).fill(MiB));
  }
  await changes.return();
});

// On its own, this file prints how long a handoff takes to a list on another server.
const HANDOFFS = 20;

test('a handoff reaches a list on another server by the bus, while a transaction is open elsewhere', async () => {
  const letGo = await holdOpen();
  const ids: string[] = [];
  for (let n = 0; n < HANDOFFS; n += 1) ids.push(await begin(server));
  const changes = await followed(elsewhere, { filter: { handoffStatus: ['WAITING'] } });
  const took: number[] = [];
  for (const id of ids) {
    const begun = performance.now();
    const told = nextOf(changes);
    await update(server, 'startHandoff', id);
    expect(await told).toMatchObject({ kind: 'ENTERED', conversationId: id, conversation: { status: 'HANDED_OFF' } });
    took.push(performance.now() - begun);
  }
  took.sort((a, b) => a - b);
  console.log(
    `${HANDOFFS} handoffs, in ms until a list on another server is told: median ${Math.ceil(took[HANDOFFS / 2] ?? NaN)}, longest ${Math.ceil(took.at(-1) ?? NaN)}.`,
  );
  await changes.return();
  await letGo();
}, 60_000);

test('what a hint has told is not told again by the log', async () => {
  const [one, two] = [await begin(server), await begin(server)];
  const changes = await followed(server);
  await rename(server, one, 'First');
  expect(await nextOf(changes)).toMatchObject({ kind: 'UPDATED', conversationId: one });
  // No hint tells of a message, so this comes from the log, which has the first change too.
  await send(server, { conversationId: two, content: { text: 'Hello' }, action: 'NONE' });
  expect(await nextOf(changes)).toMatchObject({ kind: 'UPDATED', conversationId: two });
  await changes.return();
});

test('what is missed when hints are lost comes from the log', async () => {
  const id = await begin(server);
  const changes = await followed(elsewhere);
  const organizationId = await firstOrganization(server.services);
  // As another server would, whose hint is lost.
  await server.services.pool.query(
    `WITH ended AS (UPDATE conversation SET status = 'ENDED', version = version + 1 WHERE id = $1 RETURNING id, version)
      INSERT INTO event (conversation_id, version, organization_id, type, actor)
      SELECT id, version, $2, 'ConversationEnded', '{"kind": "SYSTEM"}' FROM ended`,
    [decodeId('Conversation', id), organizationId],
  );
  expect(await nextOf(changes)).toMatchObject({ conversationId: id, conversation: { status: 'ENDED' } });
  await changes.return();
});

describe('a list that is resumed', () => {
  test('tells from the page that was read what has changed since, on any server', async () => {
    const [kept, gone, ended] = [await begin(server), await begin(server), await begin(server)];
    const { cursor, ids } = await pageOf(server);
    expect(ids).toEqual(expect.arrayContaining([kept, gone, ended]));
    await rename(server, kept, 'Changed');
    await update(server, 'deleteConversation', gone);
    await update(server, 'endConversation', ended);
    const fresh = await begin(server);
    const changes = await followed(elsewhere, { filter: { status: ['ACTIVE'] }, after: cursor });
    const told = [await nextOf(changes), await nextOf(changes), await nextOf(changes), await nextOf(changes)];
    expect(told.map(({ kind, conversationId }) => [kind, conversationId])).toEqual([
      ['ENTERED', kept],
      ['LEFT', gone],
      ['LEFT', ended],
      ['ENTERED', fresh],
    ]);
    await changes.return();
  });

  test('goes on after the last change that was told', async () => {
    const [one, two] = [await begin(server), await begin(server)];
    const first = await followed(server);
    await rename(server, one, 'One');
    const { cursor } = await nextOf(first);
    await first.return();
    await rename(server, two, 'Two');
    const second = await followed(elsewhere, { after: cursor });
    const told = [await nextOf(second)];
    if (told[0]?.conversationId === one) told.push(await nextOf(second));
    expect(told.at(-1)?.conversationId).toBe(two);
    await second.return();
  });

  test('tells an end user of their own that is gone, and of nobody else’s', async () => {
    const organizationId = await firstOrganization(server.services);
    const [mine, theirs] = [
      await addContact(server.services, organizationId),
      await addContact(server.services, organizationId),
    ];
    const [own, foreign] = [await begin(server, { contactId: mine }), await begin(server, { contactId: theirs })];
    const person = { url: server.url, key: await mintToken(server, { contactId: mine }) };
    const { cursor } = await pageOf(person);
    await update(server, 'deleteConversation', foreign);
    await update(server, 'deleteConversation', own);
    const changes = await followed(person, { after: cursor });
    expect(await nextOf(changes)).toMatchObject({ kind: 'LEFT', conversationId: own });
    await changes.return();
  });

  test('starts over when it is too late, and after a history that is not this one’s', async () => {
    const { key } = await addOrganization(server.services);
    const other = { url: server.url, key };
    const { cursor } = await pageOf(other);
    const id = await begin(other);
    const early = await followed(other, { after: cursor });
    expect(await nextOf(early)).toMatchObject({ kind: 'ENTERED', conversationId: id });
    await early.return();
    const age = `UPDATE event SET occurred_at = occurred_at - interval '61 minutes'`;
    await server.services.pool.query(age);
    const startsOver = { errors: [{ extensions: { code: 'START_OVER' } }] };
    await expect(follow(other, { after: cursor }).next()).rejects.toMatchObject(startsOver);
    const [, ...snapshot] = Buffer.from(cursor, 'base64url').toString().split('/');
    const foreign = Buffer.from(['7', ...snapshot].join('/')).toString('base64url');
    await expect(follow(other, { after: foreign }).next()).rejects.toMatchObject(startsOver);
  });

  test('is refused while too many of its organization find out what they have missed, and no other is', async () => {
    const turns = new SearchTurns(server.services.pool, { ofOneOrganization: 2 });
    const organizationId = await firstOrganization(server.services);
    const { id: otherId } = await addOrganization(server.services);
    const end = await readEnd(server.services.pool);
    const found = await Promise.allSettled(
      [organizationId, organizationId, organizationId, otherId].map((id) => readMissedChanges(turns, id, end)),
    );
    expect(found.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(found[2]).toMatchObject({ reason: expect.any(UnavailableError) as unknown });
    expect((await readMissedChanges(turns, organizationId, end))?.changes).toEqual([]);
  });

  test('takes a cursor of a moment with many open transactions', async () => {
    const { cursor } = await pageOf(server);
    const [epoch, told = '', ...rest] = Buffer.from(cursor, 'base64url').toString().split('/');
    const open = Array.from({ length: 600 }, (_, index) => index + 3);
    const snapshot = `3:${told.split(':')[1]}:${open.join(',')}`;
    const after = Buffer.from([epoch, snapshot, ...rest].join('/')).toString('base64url');
    expect(after.length).toBeGreaterThan(2000);
    await (await followed(server, { after })).return();
  });

  test.each(['', 'x', 'a'.repeat(2000)])('is refused with a cursor that is none', async (after) => {
    await expect(follow(server, { after }).next()).rejects.toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    });
  });
});

test('a list by a keyword tells what the keyword finds now', async () => {
  const id = await begin(server, { title: 'Lanterns' });
  const changes = await followed(server, { filter: { keyword: 'lanterns' } });
  await rename(server, await begin(server), 'Candles');
  await rename(server, id, 'More lanterns');
  expect(await nextOf(changes)).toMatchObject({ kind: 'UPDATED', conversationId: id });
  await rename(server, id, 'Torches');
  expect(await nextOf(changes)).toMatchObject({ kind: 'LEFT', conversationId: id });
  await changes.return();
});

test('that one left which was not in the list is not told, however long the list is', async () => {
  const { key } = await addOrganization(server.services);
  const other = { url: server.url, key };
  const [ended, id] = [await begin(other), await begin(other)];
  await update(other, 'endConversation', ended);
  await server.services.pool.query(
    `INSERT INTO conversation
      SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid()))).*
      FROM conversation c, generate_series(1, 1000) WHERE c.id = $1`,
    [decodeId('Conversation', id)],
  );
  const changes = await followed(other, { filter: { status: ['ACTIVE'] } });
  await rename(other, ended, 'Over');
  await rename(other, id, 'Going on');
  expect(await nextOf(changes)).toMatchObject({ kind: 'UPDATED', conversationId: id });
  await changes.return();
});

test('nobody is told of another organization', async () => {
  const { key } = await addOrganization(server.services);
  const other = { url: server.url, key };
  const changes = await followed(other, { after: (await pageOf(other)).cursor });
  await rename(server, await begin(server), 'Ours');
  const id = await begin(other);
  expect(await nextOf(changes)).toMatchObject({ kind: 'ENTERED', conversationId: id });
  await changes.return();
});
