import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { networkOf } from '../src/access/network.ts';
import { forgetVisitors, startForgettingVisitors } from '../src/inboxes/visits/forget.ts';
import { createLogger } from '../src/logger.ts';
import { ask, graphql, upgradeStatus } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { startServer, useServer } from './harness/server.ts';
import { addWebChat, askForVisit, visit, type WebChat } from './harness/visits.ts';

/** Which believes what one proxy says, so that tests come from wherever they like. */
const server = useServer({ config: { visitLimitPerAddress: 20, visitLimitPerInbox: 0, trustedProxies: 1 } });
let other: App & { key: string };
let chat: WebChat;
beforeAll(async () => {
  const config = { visitLimitPerAddress: 20, visitLimitPerInbox: 40, trustedProxies: 1 };
  other = await startServer(server.databaseUrl, { config });
  chat = await addWebChat(server);
});
afterAll(() => other.close());

/** As from an address that no other test uses. */
let addresses = 0;
const from = (address = `10.0.0.${++addresses}`) => ({ 'X-Forwarded-For': address });

async function countContacts(): Promise<number> {
  const { rows } = await server.services.pool.query<{ count: number }>('SELECT count(*)::int AS count FROM contact');
  return rows[0]?.count ?? 0;
}

describe('a stranger', () => {
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body,
    });
    return [response.status, await response.text()];
  };
  const visiting = (key: string) => `startVisit(input: { inboxKey: "${key}" }) { __typename }`;
  const asking = (query: string, more: object = {}) => JSON.stringify({ query, ...more });

  test('gets one and the same answer to whatever else they ask for', async () => {
    const refusal = await post(asking('{ viewer { kind } }'));
    expect(refusal[0]).toBe(401);
    const start = visiting(chat.publicKey);
    const others: [string, Record<string, string>?][] = [
      [asking('nonsense {')],
      [asking('{ nothing }')],
      [asking('')],
      ['not JSON'],
      ['[]'],
      ['{}'],
      ['null'],
      [asking('{ __schema { types { name } } }')],
      [asking('{ inboxes { nodes { id } } }')],
      [asking(`mutation { ${start} again: ${start} }`)],
      [asking(`mutation { ${start} createContact(input: {}) { __typename } }`)],
      [asking(`mutation { ...Both } fragment Both on Mutation { ${start} }`)],
      [asking(`query { startVisit: viewer { kind } }`)],
      [asking(`mutation A { ${start} } query B { viewer { kind } }`, { operationName: 'B' })],
      [asking(`mutation A { ${start} } query B { viewer { kind } }`)],
      [asking(`mutation { ${start} } # ${'x'.repeat(5000)}`)],
      [asking(`mutation { ${start} }`, { variables: { padding: 'x'.repeat(40_000) } })],
      [JSON.stringify(Array.from({ length: 3 }, () => ({ query: `mutation { ${start} }` })))],
      [asking(`mutation { ${start} }`), { 'Content-Type': 'text/plain', 'X-Parley-CSRF': '1' }],
      [asking(`mutation { ${start} }`), { Authorization: '' }],
    ];
    for (const [body, headers] of others) expect([body, ...(await post(body, headers))]).toEqual([body, ...refusal]);
    const address = `${server.url}/graphql?query=${encodeURIComponent(`mutation { ${start} }`)}`;
    expect((await fetch(address, { headers: { 'X-Parley-CSRF': '1' } })).status).toBe(401);
    expect(await post(asking(`mutation { ${start} }`), from())).toEqual([
      200,
      '{"data":{"startVisit":{"__typename":"StartVisitPayload"}}}',
    ]);
  });

  test('sees nothing of operators in what a visit returns', async () => {
    const query = `mutation ($key: String!) {
      startVisit(input: { inboxKey: $key }) {
        ... on StartVisitPayload { contact { metadata blockedAt } inbox { publicKey allowedOrigins hours { day } metadata } }
      }
    }`;
    const [status, text] = await post(asking(query, { variables: { key: chat.publicKey } }), from());
    expect([status, JSON.parse(String(text))]).toEqual([
      200,
      {
        data: {
          startVisit: {
            contact: { metadata: null, blockedAt: null },
            inbox: { publicKey: null, allowedOrigins: null, hours: null, metadata: null },
          },
        },
      },
    ]);
  });

  test('who asks three hundred times in a minute from one address starts 20 visits, over all servers, and 20 rows', async () => {
    const before = await countContacts();
    const address = from();
    const ask = (index: number) => askForVisit(index % 2 ? server : other, { inboxKey: chat.publicKey }, address);
    const answers = [];
    for (let round = 0; round < 3; round += 1) {
      answers.push(...(await Promise.all(Array.from({ length: 100 }, (_, index) => ask(index)))));
    }
    const refused = answers.filter(({ status }) => status !== 200);
    expect(answers.length - refused.length).toBeLessThanOrEqual(20);
    expect(answers.length - refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({
      status: 429,
      errors: [{ extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } }],
    });
    expect(refused[0]?.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect((await countContacts()) - before).toBe(answers.length - refused.length);
    // Others are not held up.
    expect((await askForVisit(server, { inboxKey: chat.publicKey }, from())).status).toBe(200);
  });

  test('together with others starts no more visits of one inbox than it allows', async () => {
    const popular = await addWebChat(server);
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => askForVisit(other, { inboxKey: popular.publicKey }, from())),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(40);
    expect(answers.find(({ status }) => status !== 200)).toMatchObject({
      errors: [{ extensions: { code: 'RATE_LIMITED' } }],
    });
    expect(await visit(other, { inboxKey: chat.publicKey }, from())).toHaveProperty('token');
  });
});

describe('the network that a request comes from', () => {
  const of = (remoteAddress: string, trusted = 0, forwarded?: string) =>
    networkOf(
      { socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } } as unknown as IncomingMessage,
      trusted,
    );

  test.each([
    [of('203.0.113.7'), '203.0.113.7'],
    [of('::ffff:203.0.113.7'), '203.0.113.7'],
    [of('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64'],
    [of('2001:db8::1'), '2001:db8:0:0::/64'],
    [of('::1'), '0:0:0:0::/64'],
    [of('fe80::1%eth0'), 'fe80:0:0:0::/64'],
    // Nobody is believed unless the operator says so, and then only so many.
    [of('203.0.113.7', 0, '198.51.100.1'), '203.0.113.7'],
    [of('10.0.0.1', 1, '6.6.6.6, 198.51.100.1'), '198.51.100.1'],
    [of('10.0.0.1', 2, '6.6.6.6, 198.51.100.1, 10.0.0.2'), '198.51.100.1'],
    // Some proxies add the port, which is another one for each connection.
    [of('10.0.0.1', 1, '198.51.100.1:50123'), '198.51.100.1'],
    [of('10.0.0.1', 1, '[2001:db8:1:2::1]:50123'), '2001:db8:1:2::/64'],
    [of('10.0.0.1', 1, '[2001:db8:1:2::1]'), '2001:db8:1:2::/64'],
    [of('10.0.0.1', 1, '[::ffff:198.51.100.1]:50123'), '198.51.100.1'],
    // What is no address is not believed.
    [of('10.0.0.1', 1, 'x'.repeat(1000)), '10.0.0.1'],
    [of('10.0.0.1', 1, '198.51.100.1:'), '10.0.0.1'],
    [of('10.0.0.1', 1, 'unknown'), '10.0.0.1'],
    [of('10.0.0.1', 1), '10.0.0.1'],
    [of('10.0.0.1', 3, '198.51.100.1'), '10.0.0.1'],
  ])('%s', (found, expected) => {
    expect(found).toBe(expected);
  });
});

describe('the page of an origin', () => {
  const listed = 'https://shop.example';
  const preflight = (origin: string) =>
    fetch(`${server.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type',
      },
    });

  test('may use the API, over HTTP and WebSocket, once a web chat lists it, and no longer when none does', async () => {
    // A web chat without a list takes every page.
    await server.services.pool.query(`UPDATE inbox SET allowed_origins = '{https://other.example}'`);
    const allowed = async (origin: string) => {
      const { headers } = await preflight(origin);
      return [headers.get('Access-Control-Allow-Origin'), await upgradeStatus(server, { Origin: origin })];
    };
    const soon = { timeout: 3000, interval: 200 };
    await expect.poll(() => allowed(listed), soon).toEqual([null, 403]);
    const shop = await addWebChat(server, { allowedOrigins: [listed] });
    await expect.poll(() => allowed(listed), soon).toEqual([listed, 101]);
    const { headers } = await preflight(listed);
    expect(headers.get('Access-Control-Allow-Headers')).toBe('authorization,content-type');
    expect(headers.get('Access-Control-Allow-Credentials')).toBeNull();
    expect(headers.get('Vary')).toContain('Origin');
    expect(await allowed('https://shop.example.evil.example')).toEqual([null, 403]);
    expect(await allowed('null')).toEqual([null, 403]);
    const answer = await askForVisit(server, { inboxKey: shop.publicKey }, { ...from(), Origin: listed });
    expect([answer.data?.result.__typename, answer.headers.get('Access-Control-Allow-Origin')]).toEqual([
      'StartVisitPayload',
      listed,
    ]);
    await ask(
      server,
      'mutation ($id: ID!) { updateInbox(input: { inboxId: $id, allowedOrigins: ["https://elsewhere.example"] }) { __typename } }',
      { id: shop.id },
    );
    await expect.poll(() => allowed(listed), soon).toEqual([null, 403]);
    await addWebChat(server);
    await expect.poll(() => allowed('https://anywhere.example'), soon).toEqual(['https://anywhere.example', 101]);
  });

  test('starts a visit only of an inbox that lists it, or lists none; a program names no origin', async () => {
    const shop = await addWebChat(server, { allowedOrigins: [listed] });
    const open = await addWebChat(server);
    const start = (inboxKey: string, origin?: string) =>
      visit(server, { inboxKey }, { ...from(), ...(origin !== undefined && { Origin: origin }) });
    for (const origin of [
      'https://evil.example',
      'http://shop.example',
      'https://shop.example:8443',
      'null',
      server.url,
    ]) {
      expect(await start(shop.publicKey, origin)).toMatchObject({ reason: 'ORIGIN_NOT_ALLOWED' });
      expect(await start(open.publicKey, origin)).toHaveProperty('token');
    }
    expect(await start(shop.publicKey, listed)).toHaveProperty('token');
    expect(await start(shop.publicKey)).toHaveProperty('token');
  });
});

describe('who visits and does not write', () => {
  const due = () =>
    server.services.pool.query(
      `UPDATE contact SET forget_after = now() - interval '1 second' WHERE forget_after IS NOT NULL`,
    );

  test('is forgotten within a day, one row each, in batches; who has written stays', async () => {
    const writer = await visit(server, { inboxKey: chat.publicKey }, from());
    const writing = { url: server.url, key: writer.token };
    await createConversation(writing, { action: 'NONE', message: { content: { text: 'Hello.' } } });
    // Who has written keeps what they have begun beside it.
    await createConversation(writing, { action: 'NONE' });
    const staying = await countContacts();
    const silent = await visit(server, { inboxKey: chat.publicKey }, from());
    for (let begun = 0; begun < 2; begun += 1) {
      await createConversation({ url: server.url, key: silent.token }, { action: 'NONE' });
    }
    const { rows } = await server.services.pool.query<{ within: boolean }>(
      `SELECT bool_and(forget_after < now() + interval '1 day') AS within FROM contact WHERE visitor_hash IS NOT NULL`,
    );
    expect(rows).toEqual([{ within: true }]);
    await server.services.pool.query(
      `INSERT INTO contact (id, organization_id, anonymous, visitor_hash, last_seen_at, forget_after)
        SELECT gen_random_uuid(), organization_id, true, 'hash ' || number, now(), now() - interval '1 second'
        FROM inbox, generate_series(1, 1200) AS number WHERE inbox.public_key = $1`,
      [chat.publicKey],
    );
    expect(await countContacts()).toBe(staying + 1 + 1200);
    const batches = [];
    do batches.push(await forgetVisitors(server.services.pool));
    while (batches.at(-1));
    expect(batches).toEqual([500, 500, 200, 0]);
    await due();
    await forgetVisitors(server.services.pool);
    const { contacts } = await ask<{ contacts: { nodes: { id: string }[] } }>(
      server,
      '{ contacts(filter: { anonymous: true }, last: 100) { nodes { id } } }',
    );
    expect(contacts.nodes).toEqual([{ id: writer.contact.id }]);
    // Nothing is left of conversations in which nobody has written.
    const { rows: left } = await server.services.pool.query<{ conversations: number; logs: number }>(
      `SELECT (SELECT count(*)::int FROM conversation) AS conversations,
        (SELECT count(DISTINCT conversation_id)::int FROM event) AS logs`,
    );
    expect(left).toEqual([{ conversations: 2, logs: 2 }]);
    // Looked at once: there is nothing left to do for those who stay.
    expect(await forgetVisitors(server.services.pool)).toBe(0);
  });

  test('is not forgotten while they begin a conversation', async () => {
    const visitor = await visit(server, { inboxKey: chat.publicKey }, from());
    const { rows } = await server.services.pool.query<{ id: string }>(
      'SELECT id FROM contact WHERE forget_after IS NOT NULL ORDER BY created_at DESC LIMIT 1',
    );
    await due();
    const writing = await server.services.pool.connect();
    try {
      await writing.query('BEGIN');
      // What a reference to the contact takes.
      await writing.query('SELECT FROM contact WHERE id = $1 FOR KEY SHARE', [rows[0]?.id]);
      await forgetVisitors(server.services.pool);
      await writing.query('COMMIT');
    } finally {
      writing.release();
    }
    const asked = { url: server.url, key: visitor.token };
    const message = { content: { text: 'Hello.' } };
    expect(await createConversation(asked, { action: 'NONE', message })).toHaveProperty('conversation');
    await due();
    await forgetVisitors(server.services.pool);
    expect((await graphql(asked, '{ viewer { kind } }')).status).toBe(200);
  });

  test('is forgotten by a server itself, until it closes', async () => {
    await visit(server, { inboxKey: chat.publicKey }, from());
    await due();
    const stop = startForgettingVisitors(server.services.pool, createLogger({ level: 'silent' }), 10);
    const left = async () =>
      (await server.services.pool.query('SELECT FROM contact WHERE forget_after < now()')).rowCount;
    await expect.poll(left).toBe(0);
    await stop();
    await visit(server, { inboxKey: chat.publicKey }, from());
    await due();
    expect(await left()).toBe(1);
  });
});
