import { describe, expect, onTestFinished, test } from 'vitest';
import type { Caller } from '../src/access/caller.ts';
import { SearchTurns } from '../src/search-turns.ts';
import { ConversationSearch } from '../src/conversations/lists/search.ts';
import { startSearchBackfill } from '../src/conversations/lists/search-backfill.ts';
import { UnavailableError } from '../src/errors.ts';
import { decodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { addOrganization, firstOrganization, mintToken } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send, stop } from './harness/commands.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });

async function find(target: Target, keyword: string): Promise<string[]> {
  const query = 'query ($keyword: String!) { conversations(filter: { keyword: $keyword }) { nodes { id } } }';
  const { conversations } = await ask<{ conversations: { nodes: { id: string }[] } }>(target, query, { keyword });
  return conversations.nodes.map(({ id }) => id);
}

async function saying(target: Target, text: string, input: Record<string, unknown> = {}): Promise<string> {
  const { conversation } = await createConversation(target, { action: 'NONE', ...input });
  await send(target, { conversationId: conversation.id, content: { text }, action: 'NONE' });
  return conversation.id;
}

describe('a keyword finds', () => {
  test('a title as it is now, and not as it was', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE', title: 'About walruses' });
    expect(await find(server, 'walruses')).toEqual([conversation.id]);
    await ask(
      server,
      'mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }',
      {
        input: { conversationId: conversation.id, title: 'About otters' },
      },
    );
    expect(await find(server, 'walruses')).toEqual([]);
    expect(await find(server, 'otters')).toEqual([conversation.id]);
  });

  test('nothing of a conversation that is deleted', async () => {
    const id = await saying(server, 'A pelican came by.');
    expect(await find(server, 'pelican')).toEqual([id]);
    await ask(
      server,
      'mutation ($input: DeleteConversationInput!) { deleteConversation(input: $input) { __typename } }',
      {
        input: { conversationId: id },
      },
    );
    expect(await find(server, 'pelican')).toEqual([]);
    const { rows } = await server.services.pool.query("SELECT FROM search_text WHERE words @@ 'pelican'");
    expect(rows).toEqual([]);
  });

  test('a phrase only where its words stand so, also for an end user', async () => {
    const contact = await addOrganization(server.services);
    const target = { url: server.url, key: contact.key };
    const right = await saying(target, 'Nous cherchons une entrée-principale.', {
      contactId: contact.contactId,
    });
    await saying(target, 'Une principale, puis une entrée.', { contactId: contact.contactId });
    expect(await find(target, 'entrée-principale')).toEqual([right]);
    const token = await mintToken(target, { contactId: contact.contactId });
    expect(await find({ url: server.url, key: token }, 'entrée-principale')).toEqual([right]);
  });

  test('what a reply says once it has ended, however it grew', async () => {
    const agentId = await createAgent(server.services, runtime.name);
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const { reply } = await send(server, { conversationId: conversation.id, content: { text: 'Go on.' } });
    const script = await runtime.replyTo('Go on.');
    await script.begin('The first capybara ');
    const count = async (rows: string) => (await server.services.pool.query(`SELECT FROM ${rows}`)).rowCount;
    const soon = { timeout: 10_000 };
    await expect.poll(() => count("fragment WHERE status = 'IN_PROGRESS'"), soon).toBe(1);
    await script.write('sang, ');
    await expect.poll(() => count('chunk'), soon).toBe(1);
    expect(await find(server, 'capybara')).toEqual([]);
    await script.write('met an armadillo.');
    await stop(server, reply?.id ?? '');
    expect(await find(server, 'capybara armadillo')).toEqual([conversation.id]);
  });

  test('what is older than the table of the words, once a server has gone through it', async () => {
    const { pool } = server.services;
    const id = await saying(server, 'An axolotl smiled.', { title: 'A quokka' });
    const whisper =
      'mutation ($id: ID!) { sendControl(input: { conversationId: $id, content: { text: "A narwhal." }, action: NONE }) { __typename } }';
    await ask(server, whisper, { id });
    await pool.query('DELETE FROM search_text');
    await pool.query('UPDATE search_backfill SET done_to = NULL, finished_at = NULL');
    expect(await find(server, 'axolotl')).toEqual([]);
    const stopFilling = startSearchBackfill(pool, createLogger({ level: 'silent' }));
    await expect.poll(() => find(server, 'axolotl'), { timeout: 10_000 }).toEqual([id]);
    expect(await find(server, 'quokka')).toEqual([id]);
    await expect
      .poll(async () => (await pool.query('SELECT FROM search_backfill WHERE finished_at IS NULL')).rowCount)
      .toBe(0);
    await stopFilling();
    // What end users do not see is not found by anybody.
    expect(await find(server, 'narwhal')).toEqual([]);
  });
});

test('the words of one organization and those of another have no entry of the index in common', async () => {
  const { pool } = server.services;
  const neighbour = await addOrganization(server.services);
  await saying(server, 'A platypus.');
  await saying({ url: server.url, key: neighbour.key }, 'A platypus.');
  const { rows } = await pool.query<{ most: number }>(
    `SELECT count(DISTINCT organization_id)::int AS most FROM search_text, unnest(search_terms(organization_id, words)) term
      GROUP BY term ORDER BY 1 DESC LIMIT 1`,
  );
  expect(rows).toEqual([{ most: 1 }]);
  const { rows: indexes } = await pool.query<{ indexdef: string }>(
    "SELECT indexdef FROM pg_indexes WHERE indexname = 'search_text_terms_idx'",
  );
  expect(indexes[0]?.indexdef).toContain('search_terms(organization_id, words)');
});

test('neither do their contacts and labels, by which is searched all the same', async () => {
  const { pool } = server.services;
  const neighbour = await addOrganization(server.services);
  const both = [server, { url: server.url, key: neighbour.key }];
  for (const target of both) {
    await ask(
      target,
      'mutation { upsertContact(input: { externalId: "okapi", displayName: "Ölapse OKAPI" }) { __typename } }',
    );
    const { conversation } = await createConversation(target, { action: 'NONE' });
    const label =
      'mutation ($id: ID!) { updateConversation(input: { conversationId: $id, labels: { add: ["okapi"] } }) { __typename } }';
    await ask(target, label, { id: conversation.id });
  }
  for (const [table, index] of [
    ['contact', 'contact_terms_idx'],
    ['conversation', 'conversation_label_terms_idx'],
  ]) {
    const { rows } = await pool.query<{ indexdef: string }>('SELECT indexdef FROM pg_indexes WHERE indexname = $1', [
      index,
    ]);
    const indexed = /USING gin \((.*)\) WITH/.exec(rows[0]?.indexdef ?? '')?.[1] ?? 'none';
    const shared = await pool.query<{ most: number; terms: number }>(
      `SELECT max(organizations)::int AS most, count(*)::int AS terms FROM (
        SELECT count(DISTINCT organization_id) AS organizations FROM ${table}, unnest(${indexed}) term GROUP BY term) t`,
    );
    expect(shared.rows).toEqual([{ most: 1, terms: expect.any(Number) }]);
    expect(shared.rows[0]?.terms).toBeGreaterThan(1);
  }
  for (const target of both) {
    for (const keyword of ['okapi', 'KAP', 'ölaps okapi', 'ka', 'ö kapi']) {
      const query = 'query ($keyword: String!) { contacts(keyword: $keyword) { nodes { externalId } } }';
      expect(await ask(target, query, { keyword })).toEqual({ contacts: { nodes: [{ externalId: 'okapi' }] } });
    }
    const labelled =
      '{ conversationCount(filter: { labels: ["okapi"] }) none: conversationCount(filter: { labels: ["kapi"] }) }';
    expect(await ask(target, labelled)).toEqual({ conversationCount: 1, none: 0 });
  }
});

test('all that may have to look at each row waits for its turn with the searches', async () => {
  const { services } = server;
  const organizationId = await firstOrganization(services);
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  onTestFinished(() => end());
  const hung = Array.from({ length: 4 }, () => services.searchTurns.run(organizationId, () => ended));
  const refused = { errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }] };
  for (const query of [
    '{ contacts(keyword: "anybody") { nodes { id } } }',
    '{ contacts(filter: { metadata: { a: 1 } }) { nodes { id } } }',
    '{ conversations(filter: { metadata: { a: 1 } }) { nodes { id } } }',
    '{ conversationCount(filter: { metadata: { a: 1 } }) }',
    '{ records(filter: { startDate: "2026-03-01", endDate: "2026-03-01" }) { nodes { askedAt } } }',
    '{ conversations(filter: { keyword: "anything" }) { nodes { id } } }',
  ]) {
    expect({ query, ...(await graphql(server, query)) }).toMatchObject({ query, ...refused });
  }
  const served = '{ contacts { nodes { id } } conversations(filter: { labels: ["okapi"] }) { nodes { id } } }';
  expect((await graphql(server, served)).errors).toBeUndefined();
  end();
  await Promise.all(hung);
});

test('searches that hang take only their own part of the server, and more than a few are refused', async () => {
  const { pool } = server.services;
  const id = await saying(server, 'A wombat.');
  const blocker = await pool.connect();
  await blocker.query('BEGIN; LOCK TABLE search_text IN ACCESS EXCLUSIVE MODE');
  const query = '{ conversations(filter: { keyword: "wombat" }) { nodes { id } } }';
  const searches = Array.from({ length: 12 }, () => graphql<unknown>(server, query));
  const first = await Promise.race(searches);
  expect(first).toMatchObject({
    status: 503,
    errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }],
  });
  expect(await find(server, ' ')).toContain(id);
  await blocker.query('ROLLBACK');
  blocker.release();
  const results = await Promise.all(searches);
  expect(results.filter(({ errors }) => errors === undefined)).toHaveLength(4);
  expect(await find(server, 'wombat')).toEqual([id]);
});

test('two searches run at a time, of however many organizations; twenty wait, and everything else is served', async () => {
  const turns = new SearchTurns(server.services.pool);
  let running = 0;
  let end = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  onTestFinished(() => end());
  const search = (organization: number) =>
    turns.run(String(organization), async () => {
      running += 1;
      await ended;
    });
  const searches = Array.from({ length: 22 }, (_, organization) => search(organization));
  await expect.poll(() => running).toBe(2);
  await expect(search(22)).rejects.toThrow(UnavailableError);
  expect((await graphql(server, '{ conversations { nodes { id } } }')).errors).toBeUndefined();
  expect(running).toBe(2);
  end();
  await Promise.all(searches);
  expect(running).toBe(22);
});

test('a phrase is looked for in words that are stored, and no text is read for it', async () => {
  const organization = await addOrganization(server.services);
  const { contactId } = organization;
  const target = { url: server.url, key: organization.key };
  const id = await saying(target, `${'Un long texte. '.repeat(5000)} entrée-principale`, { contactId });
  const token = await mintToken(target, { contactId });
  const blocker = await server.services.pool.connect();
  try {
    await blocker.query('BEGIN; LOCK TABLE fragment, message IN ACCESS EXCLUSIVE MODE');
    for (const key of [target.key, token]) {
      expect(await find({ url: server.url, key }, 'entrée-principale')).toEqual([id]);
    }
  } finally {
    await blocker.query('ROLLBACK');
    blocker.release();
  }
});

test.each(['x'.repeat(1025), 'a\0', 'a\ud83d'])(
  'a keyword that is too long or cannot be stored is refused (%#)',
  async (keyword) => {
    for (const query of [
      'query ($keyword: String) { conversations(filter: { keyword: $keyword }) { nodes { id } } }',
      'query ($keyword: String) { conversationCount(filter: { keyword: $keyword }) }',
      'subscription ($keyword: String) { conversationChanges(filter: { keyword: $keyword }) { kind } }',
    ]) {
      await expect(subscribeWs(server, query, { keyword }).next()).rejects.toThrow('BAD_USER_INPUT');
    }
  },
);

test('no more than twenty words of a keyword count', async () => {
  const words = Array.from({ length: 20 }, (_, i) => `word${i}`).join(' ');
  const id = await saying(server, words);
  expect(await find(server, `${words} missing`)).toEqual([id]);
  expect(await find(server, `missing ${words}`)).toEqual([]);
});

describe('the time that a search takes does not tell', () => {
  const search = () => new ConversationSearch(server.services.pool, new SearchTurns(server.services.pool));
  const foundBy = (caller: Pick<Caller, 'organizationId' | 'confinedTo'>, keyword: string) =>
    search().run(caller, keyword, async (_client, found) => found);

  test('what another organization holds: its entries are not read', async () => {
    const [ours, theirs] = [await addOrganization(server.services), await addOrganization(server.services)];
    await saying({ url: server.url, key: theirs.key }, 'A pangolin.');
    const id = await saying({ url: server.url, key: ours.key }, 'A tapir.');
    const caller = { organizationId: ours.id, confinedTo: null };
    expect(await foundBy(caller, 'pangolin')).toEqual({ conversationIds: [] });
    expect(await foundBy(caller, 'tapir')).toEqual({ conversationIds: [decodeId('Conversation', id)] });
  });

  test("what others' conversations hold: an end user's own are asked, and no index that all share", async () => {
    const { id, key, contactId } = await addOrganization(server.services);
    await saying({ url: server.url, key }, 'A pangolin.');
    const caller = { organizationId: id, confinedTo: { contactId: decodeId('Contact', contactId) ?? '' } };
    expect(await foundBy(caller, 'pangolin')).toEqual({ query: "'pangolin'" });
  });

  test('what all of them hold: texts are found by their conversation, and never by reading all', async () => {
    const { rows } = await search().run(
      { organizationId: await firstOrganization(server.services), confinedTo: null },
      'anything',
      (client) =>
        client.query<{ 'QUERY PLAN': string }>(
          `EXPLAIN SELECT FROM conversation c WHERE EXISTS (
            SELECT FROM search_text s WHERE s.conversation_id = c.id AND s.words @@ 'anything'::tsquery)`,
        ),
    );
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('search_text');
    expect(plan).not.toContain('Seq Scan on search_text');
  });
});

test('a search that takes too long is ended, and says so', async () => {
  const { pool } = server.services;
  const search = new ConversationSearch(pool, new SearchTurns(pool, { statementMs: 20 }));
  const organization = await addOrganization(server.services);
  const caller = { organizationId: organization.id, confinedTo: null };
  const slow = search.run(caller, 'anything', (client) => client.query('SELECT pg_sleep(10)'));
  await expect(slow).rejects.toThrow(UnavailableError);
  // The pool's own limit would end it too, but later.
  const limit = await search.run(caller, 'anything', (client) =>
    client.query<{ limit: string }>("SELECT current_setting('statement_timeout') AS limit"),
  );
  expect(limit.rows).toEqual([{ limit: '20ms' }]);
  expect(await search.run(caller, 'anything', async (_client, found) => found)).toEqual({ conversationIds: [] });
});
