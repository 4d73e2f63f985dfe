import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { graphql } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let conversationId: string;
beforeAll(async () => {
  conversationId = (await createConversation(server, { action: 'NONE' })).conversation.id;
});

let before: Record<string, number>;
beforeEach(async () => {
  before = await countRows(server.services.pool);
});
afterEach(async () => {
  expect(await countRows(server.services.pool)).toEqual(before);
});

interface Answer {
  status: number;
  body: string;
  /** The code of its only error. */
  code: unknown;
}

async function post(body: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/graphql-response+json',
      Authorization: `Bearer ${server.key}`,
      ...headers,
    },
    body,
  });
  const text = await response.text();
  expectNoTrace(text);
  return { status: response.status, body: text, code: codeIn(text) };
}

function ask(query: string, variables: Record<string, unknown> = {}): Promise<Answer> {
  return post(JSON.stringify({ query, variables }));
}

function codeIn(text: string): unknown {
  try {
    const { errors } = JSON.parse(text) as { errors?: { extensions?: { code?: unknown } }[] };
    return errors?.length === 1 ? errors[0]?.extensions?.code : errors;
  } catch {
    return undefined;
  }
}

function expectNoTrace(text: string): void {
  expect(text).not.toMatch(
    /\bat \S+ \(|node_modules|\.[jt]s:\d|"stack|originalError|SyntaxError|TypeError|prisma|SELECT /i,
  );
}

const sendQuery = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';
const isBadInput = { status: 400, code: 'BAD_USER_INPUT' };

describe('a request', () => {
  test.each([
    ['an unknown field', '{ nothing }'],
    ['an unknown argument', '{ viewer(for: "me") { kind } }'],
    ['a syntax error', '{ viewer { kind }'],
    ['an unknown type', 'query ($x: Nothing) { viewer { kind } node(id: $x) { id } }'],
    ['no operation', 'fragment V on Viewer { kind }'],
    ['fields that are not selected', '{ viewer }'],
  ])('with %s is 400, BAD_USER_INPUT', async (_case, query) => {
    expect(await ask(query)).toMatchObject(isBadInput);
  });

  test.each<[string, Record<string, unknown>]>([
    ['a missing field', { conversationId: 'x' }],
    ['two kinds of content', { conversationId: 'x', content: { text: 'x', fragments: [] } }],
    ['no content', { conversationId: 'x', content: {} }],
    ['null as the only content', { conversationId: 'x', content: { text: null } }],
    ['a text that is a number', { conversationId: 'x', content: { text: 7 } }],
    ['a version that is no 32-bit number', { conversationId: 'x', content: { text: 'x' }, expectedVersion: 2 ** 31 }],
    ['a version that is no whole number', { conversationId: 'x', content: { text: 'x' }, expectedVersion: 1.5 }],
    ['metadata that is no object', { conversationId: 'x', content: { text: 'x' }, metadata: [1] }],
    ['a picture that is no URL', { conversationId: 'x', content: { text: 'x' }, author: { avatarUrl: 'nonsense' } }],
    ['a picture that is a number', { conversationId: 'x', content: { text: 'x' }, author: { avatarUrl: 7 } }],
    ['an unknown enum value', { conversationId: 'x', content: { text: 'x' }, onBusy: 'WAIT' }],
    ['an unknown input field', { conversationId: 'x', content: { text: 'x' }, nothing: true }],
  ])('with %s in its variables is 400, BAD_USER_INPUT', async (_case, input) => {
    expect(await ask(sendQuery, { input })).toMatchObject(isBadInput);
  });

  test.each([
    ['invalid JSON', '{ "query": '],
    ['an empty body', ''],
    ['a list', '[]'],
    ['a number', '7'],
    ['null', 'null'],
    ['no query', '{}'],
    ['a query that is no string', '{"query": 7}'],
    ['variables that are no object', '{"query": "{ viewer { kind } }", "variables": "x"}'],
  ])('of %s is 400, BAD_USER_INPUT', async (_case, body) => {
    expect(await post(body)).toMatchObject(isBadInput);
    expect(await post(body, { Accept: 'application/json' })).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('of invalid JSON is 400 for clients that accept application/json too', async () => {
    expect(await post('{ "query": ', { Accept: 'application/json' })).toMatchObject(isBadInput);
  });

  test('of another content type is 415', async () => {
    expect(await post('query=x', { 'Content-Type': 'text/plain' })).toMatchObject({ status: 415 });
  });

  test('that asks for a mutation by GET is not carried out', async () => {
    const query = 'mutation { createConversation(input: {action: NONE}) { __typename } }';
    const response = await fetch(`${server.url}/graphql?query=${encodeURIComponent(query)}`, {
      headers: { Authorization: `Bearer ${server.key}` },
    });
    expectNoTrace(await response.text());
    expect(response.status).toBe(405);
  });

  test('to another path is 404', async () => {
    const response = await fetch(`${server.url}/nothing`);
    expectNoTrace(await response.text());
    expect(response.status).toBe(404);
  });
});

describe('a page', () => {
  const lists = [
    ['conversations', (args: string) => `{ conversations(${args}) { nodes { id } } }`],
    ['messages', (args: string) => `{ conversation(id: "${conversationId}") { messages(${args}) { nodes { id } } } }`],
  ] as const;
  const bad = [
    'first: 0',
    'first: 101',
    'first: -1',
    'last: 0',
    'last: 101',
    'first: 1, last: 1',
    'after: "nonsense"',
    'before: "WzFd"',
  ];

  test.each(lists.flatMap(([list, query]) => bad.map((args) => [list, args, query] as const)))(
    'of %s with %s is BAD_USER_INPUT',
    async (list, args, query) => {
      // That cursor is one of a list of messages.
      const isFine = list === 'messages' && args.includes('WzFd');
      expect(await ask(query(args))).toMatchObject(isFine ? { status: 200 } : isBadInput);
    },
  );

  test.each(lists)('of %s holds 1 to 100', async (_list, query) => {
    for (const args of ['first: 1', 'first: 100', 'last: 1', 'last: 100', 'after: null', 'first: null']) {
      expect([args, (await ask(query(args))).body]).toEqual([args, expect.not.stringContaining('errors')]);
    }
  });

  test('of nodes holds at most 100', async () => {
    const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }';
    expect((await ask(query, { ids: Array.from({ length: 100 }, () => 'x') })).status).toBe(200);
    expect(await ask(query, { ids: Array.from({ length: 101 }, () => 'x') })).toMatchObject(isBadInput);
  });
});

describe('a request over 10 MB', () => {
  const text = 'x'.repeat(10 * 1024 * 1024);

  test('is 413', async () => {
    const input = { conversationId, content: { text } };
    expect((await ask(sendQuery, { input })).status).toBe(413);
  });

  test('closes a WebSocket', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const closed = new Promise<number>((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { text } })));
    expect(await closed).toBe(1009);
  });
});

test('what is just within the limits is taken', async () => {
  const { conversation } = await createConversation(server, { action: 'NONE' });
  const sent = await send(server, {
    conversationId: conversation.id,
    action: 'NONE',
    content: { text: 'é'.repeat(512 * 1024) },
    metadata: { text: 'x'.repeat(64 * 1024 - '{"text":""}'.length) },
    idempotencyKey: 'é'.repeat(255),
  });
  expect(sent.message.text).toHaveLength(512 * 1024);
  // For the check after each test, which is about what is refused.
  before = await countRows(server.services.pool);
});

test('an internal fault shows a request id and nothing else', async () => {
  const { pool } = server.services;
  await pool.query('ALTER TABLE fragment RENAME TO hidden');
  try {
    const result = await graphql(server, sendQuery, { input: { conversationId, content: { text: 'x' } } });
    expect(result.status).toBe(500);
    expect(result.errors).toMatchObject([
      { extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) } },
    ]);
    expectNoTrace(JSON.stringify(result));
    expect(JSON.stringify(result)).not.toMatch(/fragment|relation|hidden/);
  } finally {
    await pool.query('ALTER TABLE hidden RENAME TO fragment');
  }
});

test.each([-271821, -4713, -1, 10_000, 275_760])('a page cursor of the year %i is BAD_USER_INPUT', async (year) => {
  const time = new Date(Date.UTC(2000, 5)).setUTCFullYear(year);
  const id = '0190a8f0-0000-7000-8000-000000000000';
  const after = Buffer.from(JSON.stringify([time, id])).toString('base64url');
  for (const list of ['conversations', 'apiKeys']) {
    const query = `query ($after: String) { ${list}(first: 1, after: $after) { nodes { id } } }`;
    expect(await ask(query, { after })).toMatchObject({ code: 'BAD_USER_INPUT' });
  }
});

test('a request in several parts is refused, whatever its map says', async () => {
  for (const map of ['{"0":["variables.file"]}', '{"0":["variables.__proto__.x"]}', '{"0":null}', '[[[', '{}']) {
    const parts = [
      ['operations', '{"query":"{ viewer { kind } }","variables":{}}'],
      ['map', map],
    ];
    const lines = parts.flatMap(([name = '', value = '']) => [
      '--x',
      `Content-Disposition: form-data; name="${name}"`,
      '',
      value,
    ]);
    const body = [...lines, '--x--', ''].join('\r\n');
    const { status } = await post(body, { 'Content-Type': 'multipart/form-data; boundary=x' });
    expect(status).toBe(415);
  }
});
