import { getIntrospectionQuery } from 'graphql';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { once } from 'node:events';
import { responseLimits } from '../src/graphql/budget.ts';
import { decodeId } from '../src/ids.ts';
import { addContact, firstOrganization, mintToken } from './harness/access.ts';
import { graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send, trySend } from './harness/commands.ts';
import { executedOnce } from './harness/executed-once.ts';
import { countRows } from './harness/rows.ts';
import { limitedPoolOf, useServer } from './harness/server.ts';

const server = useServer({ config: { rateLimitPerContact: 0 } });
const MiB = 1024 * 1024;
let conversationId: string;
let messageId: string;
let guest: Target;

beforeAll(async () => {
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  const { conversation } = await createConversation(server, { contactId, action: 'NONE' });
  conversationId = conversation.id;
  const content = { text: 'x'.repeat(MiB) };
  messageId = (await send(server, { conversationId, content, action: 'NONE' })).message.id;
  guest = { url: server.url, key: await mintToken(server, { contactId }) };
});

const aliases = (count: number, field: string, prefix = 'a') =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}: ${field}`).join(' ');

/** A conversation of 17 messages with 1 MiB of text each, or with a canvas of as much. */
async function largeConversation(of: 'texts' | 'canvases'): Promise<string> {
  const { pool } = server.services;
  const { conversation } = await createConversation(server, { action: 'NONE' });
  const content = 'y'.repeat(MiB);
  const message =
    of === 'texts'
      ? { content: { text: content } }
      : { content: { text: 'Look.' }, canvas: { name: 'plan', type: 'markdown', title: 'A plan', content } };
  const sent = await send(server, { conversationId: conversation.id, ...message, action: 'NONE' });
  const id = decodeId('Message', sent.message.id);
  await pool.query(
    `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, completed_at, canvas)
      SELECT gen_random_uuid(), conversation_id, organization_id, n, role, author, status, created_version + n, completed_at, canvas
      FROM message, generate_series(1, 16) AS n WHERE id = $1`,
    [id],
  );
  await pool.query(
    `INSERT INTO fragment (message_id, index, kind, status, text, units)
      SELECT m.id, f.index, f.kind, f.status, f.text, f.units
      FROM fragment f JOIN message m ON m.conversation_id = $2 AND m.id <> f.message_id WHERE f.message_id = $1`,
    [id, decodeId('Conversation', conversation.id)],
  );
  return conversation.id;
}

interface Page {
  conversation: { messages: { nodes: { id: string }[] } };
}

const isBadInput = { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] };
const isTooLarge = { errors: [{ extensions: { code: 'RESPONSE_TOO_LARGE' } }] };

/** The first result of a query, or why there is none. */
async function overWebSocket(target: Target, query: string, variables?: Record<string, unknown>): Promise<unknown> {
  try {
    for await (const data of subscribeWs<unknown>(target, query, variables)) return { data };
  } catch (error) {
    return error;
  }
  return null;
}

/** Begins to watch what statements return. Then tells the sizes of that as JSON, and ends. */
function sizesOfStatements(): () => Promise<number[]> {
  const read = vi.spyOn(server.services.pool, 'query');
  onTestFinished(() => read.mockRestore());
  return async () => {
    const results = await Promise.all(read.mock.results.map(({ value }: { value: unknown }) => value));
    read.mockRestore();
    return results.map((result) => JSON.stringify(result).length);
  };
}

describe('a response', () => {
  test('is at most 8 MiB, whatever names a text is asked for by', async () => {
    const query = (count: number) => `query ($id: ID!) { message(id: $id) { ${aliases(count, 'text')} } }`;
    expect(await graphql(guest, query(7), { id: messageId })).toMatchObject({ data: { message: {} } });
    expect(await graphql(guest, query(9), { id: messageId })).toMatchObject(isTooLarge);
    expect(await overWebSocket(guest, query(9), { id: messageId })).toMatchObject(isTooLarge);
  });

  test('is at most 8 MiB of JSON, however deep its texts stand in there', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE' });
    for (let i = 0; i < 7; i += 1) {
      const metadata = { list: [{ note: 'z'.repeat(65_000) }] };
      await send(server, { conversationId: conversation.id, content: { text: 'Hi.' }, metadata, action: 'NONE' });
    }
    const query = (first: number) =>
      `query ($id: ID!) { conversation(id: $id) { messages(first: ${first}) { nodes { ${aliases(20, 'metadata')} } } } }`;
    expect((await graphql(server, query(6), { id: conversation.id })).errors).toBeUndefined();
    expect(await graphql(server, query(7), { id: conversation.id })).toMatchObject(isTooLarge);
  });

  test('is at most 8 MiB as it is sent, where some characters take six bytes', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const content = { text: '\u0001'.repeat(400_000) };
    const { message } = await send(server, { conversationId: conversation.id, content, action: 'NONE' });
    const query = (count: number) => `query ($id: ID!) { message(id: $id) { ${aliases(count, 'text')} } }`;
    expect((await graphql(server, query(3), { id: message.id })).errors).toBeUndefined();
    expect(await graphql(server, query(4), { id: message.id })).toMatchObject(isTooLarge);
  });

  test('tells of at most a hundred errors', async () => {
    const id = 'conversationId: ""';
    const changes = ['updateConversation', 'deleteConversation', 'endHandoff', 'sendControl', 'takeOver'];
    const fields = [...changes.map((name) => [name, id]), ['acceptHandoff', `${id}, assignee: "Kim"`]].map(
      ([name, input]) => aliases(20, `${name}(input: { ${input} }) { __typename }`, name),
    );
    const forbidden = `mutation { ${fields.join(' ')} }`;
    expect((await graphql(guest, forbidden)).errors).toHaveLength(100);
    expect(await overWebSocket(guest, forbidden)).toMatchObject({ errors: { length: 100 } });
  });

  test('says once that it is too large', async () => {
    const query = `query ($id: ID!) { ${aliases(20, 'message(id: $id) { text }')} }`;
    const { errors, data } = await graphql<Record<string, unknown>>(guest, query, { id: messageId });
    expect(errors).toHaveLength(1);
    // What fits is there.
    expect(Object.values(data ?? {}).filter((message) => message !== null)).toHaveLength(7);
  });

  test('is not read from the database when what it takes is too much', async () => {
    const id = await largeConversation('texts');
    const page = (fields: string) =>
      `query ($id: ID!) { conversation(id: $id) { messages(first: 17) { nodes { ${fields} } } } }`;
    expect(await graphql(server, page('text'), { id })).toMatchObject(isTooLarge);
    const { data } = await graphql<Page>(server, page('id'), { id });
    const ids = data?.conversation.messages.nodes.map(({ id }) => id);
    const nodes = 'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { fragments { id } } } }';
    const sizes = sizesOfStatements();
    expect(await graphql(server, nodes, { ids })).toMatchObject(isTooLarge);
    expect(Math.max(...(await sizes()))).toBeLessThan(MiB);
  });

  test('is not made of messages whose canvases were read for nothing, or are too much together', async () => {
    const id = await largeConversation('canvases');
    const page = 'query ($id: ID!) { conversation(id: $id) { messages(first: 17) { nodes { id } } } }';
    const { data } = await graphql<Page>(server, page, { id });
    const ids = data?.conversation.messages.nodes.map(({ id }) => id) ?? [];
    const read = async (ids: string[], fields: string) => {
      const sizesOf = sizesOfStatements();
      const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { position ${fields} } } }`;
      const result = await graphql<{ nodes: { canvas?: { content: string } }[] }>(server, query, { ids });
      return { ...result, size: (await sizesOf()).reduce((sum, size) => sum + size, 0) };
    };
    const bare = await read(ids, '');
    expect(bare.data?.nodes).toHaveLength(17);
    expect(bare.size).toBeLessThan(MiB);
    const whole = await read(ids, 'canvas { content }');
    expect(whole).toMatchObject(isTooLarge);
    expect(whole.size).toBeLessThan(MiB);
    const two = await read(ids.slice(0, 2), 'canvas { content } contentPayload queryMetadata stateAfter { context }');
    expect(two.data?.nodes.map(({ canvas }) => canvas?.content.length)).toEqual([MiB, MiB]);
    expect(two.errors).toBeUndefined();
  });

  executedOnce.each([
    ['texts', 'text'],
    ['canvases', 'canvas { content }'],
  ] as const)(
    'reads no more than 16 MiB of %s with a page, and shows whatever else is asked for',
    async (what, field) => {
      const id = await largeConversation(what);
      const sizesOf = sizesOfStatements();
      const query = (fields: string) =>
        `query ($id: ID!) { conversation(id: $id) { messages(first: 17) { nodes { position ${fields} } } } }`;
      expect(await graphql(server, query(field), { id })).toMatchObject(isTooLarge);
      const sizes = await sizesOf();
      expect(Math.max(...sizes)).toBeGreaterThan(MiB);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(17 * MiB);
      const skipped = await graphql<Page>(server, query(`... @include(if: false) { ${field} }`), { id });
      expect(skipped.data?.conversation.messages.nodes).toHaveLength(17);
    },
  );

  test('has at most 50,000 fields', async () => {
    const { pool } = server.services;
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const fragments = Array.from({ length: 1000 }, () => ({ text: { text: 'z' } }));
    for (let i = 0; i < 5; i += 1) {
      await send(server, { conversationId: conversation.id, content: { fragments }, action: 'NONE' });
    }
    const query = (count: number) => {
      const fields = Array.from({ length: count }, (_, i) => `f${i}: index`).join(' ');
      return `query ($id: ID!) { conversation(id: $id) { messages(first: 5) { nodes { fragments { ${fields} } } } } }`;
    };
    expect(await graphql(server, query(8), { id: conversation.id })).toMatchObject({ data: {} });
    expect(await graphql(server, query(11), { id: conversation.id })).toMatchObject(isTooLarge);
    await pool.query('DELETE FROM conversation WHERE id = $1', [decodeId('Conversation', conversation.id)]);
  });
});

describe('is refused before anything runs:', () => {
  const roles = Array.from({ length: 1_000_000 }, () => 'USER');
  test.each<[string, string, Record<string, unknown>]>([
    [
      'a list of a million roles',
      'query ($v: [MessageRole!]) { agents { nodes { id } } conversation(id: "") { messages(roles: $v) { nodes { id } } } }',
      { v: roles },
    ],
    [
      'a list of 2,001 roles',
      'query ($v: [MessageRole!]) { conversation(id: "") { messages(roles: $v) { nodes { id } } } }',
      { v: roles.slice(0, 2001) },
    ],
    [
      'two million values of JSON',
      'mutation ($v: JSONObject) { createConversation(input: { metadata: $v }) { __typename } }',
      { v: { a: Array.from({ length: 2_000_000 }, () => 1) } },
    ],
    [
      'JSON of more than 100 levels',
      'mutation ($v: JSONObject) { createConversation(input: { metadata: $v }) { __typename } }',
      { v: JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`) as unknown },
    ],
    ['a field under 21 names', `{ ${aliases(21, 'viewer { kind }')} }`, {}],
    [
      'a field under 21 names in fragments',
      `{ ...A ...B } fragment A on Query { ${aliases(11, 'viewer { kind }')} } fragment B on Query { ${aliases(10, 'viewer { kind }', 'b')} }`,
      {},
    ],
    [
      'a field under 21 names in an object that is asked for twice',
      `{ viewer { ${aliases(11, 'kind')} } viewer { ${aliases(10, 'kind', 'b')} } }`,
      {},
    ],
    ['a long alias', `{ ${'a'.repeat(101)}: viewer { kind } }`, {}],
    ['a long id', 'query ($v: ID!) { node(id: $v) { id } }', { v: 'a'.repeat(7 * MiB) }],
    [
      'a long page cursor',
      'query ($v: String) { conversations(after: $v) { nodes { id } } }',
      { v: 'a'.repeat(7 * MiB) },
    ],
    [
      'fragments of many messages',
      'query { conversations(first: 20) { nodes { messages(first: 100) { nodes { fragments { id } } } } } }',
      {},
    ],
    ...['text', 'canvas { name }', 'attachments { filename }'].map(
      (field): [string, string, Record<string, unknown>] => [
        `${field} of many messages`,
        `query { conversations(first: 40) { nodes { messages(first: 100) { nodes { ${field} } } } } }`,
        {},
      ],
    ),
    [
      'an introspection that goes in circles',
      `{ __schema { types { fields { type { fields { ${aliases(20, 'name')} ${aliases(20, 'description', 'b')} ${aliases(20, 'isDeprecated', 'c')} } } } } } }`,
      {},
    ],
  ])('%s', async (_what, query, variables) => {
    const before = await countRows(server.services.pool);
    expect(await graphql(server, query, variables)).toMatchObject(isBadInput);
    expect(await countRows(server.services.pool)).toEqual(before);
  });

  test('more than 1 MiB with a client token, over HTTP with a length and without, and over WebSocket', async () => {
    const body = JSON.stringify({ query: '{ viewer { kind } }', variables: { a: 'x'.repeat(MiB) } });
    const post = (key: string, chunked: boolean) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
        body: chunked ? new Blob([body]).stream() : body,
        duplex: 'half',
      } as RequestInit);
    for (const chunked of [false, true]) {
      const response = await post(guest.key, chunked);
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject(isBadInput);
      expect((await post(server.key, chunked)).status).toBe(200);
    }
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${guest.key}` } }));
    await once(socket, 'message');
    const closed = once(socket, 'close');
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: JSON.parse(body) as unknown }));
    expect((await closed)[0]).toBe(1009);
  });
});

test('a document of more than 250,000 characters is refused, over HTTP and over WebSocket, whatever is in it', async () => {
  const literals = Array.from({ length: 300 }, (_, i) => `a${i}: "${'x'.repeat(1000)}"`).join(' ');
  const query = `{ viewer(nothing: {${literals}}) { kind } }`;
  const message = /^The document has \d+ characters; at most 250000 are allowed/;
  expect(await graphql(server, query)).toMatchObject({
    ...isBadInput,
    errors: [{ message: expect.stringMatching(message) as string }],
  });
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}` } }));
  await once(socket, 'message');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
  const [answer] = (await once(socket, 'message')) as [Buffer];
  expect(JSON.parse(answer.toString())).toMatchObject({
    payload: [{ message: expect.stringMatching(message) as string }],
  });
  socket.close();
});

test('the whole schema can still be read', async () => {
  expect(
    (await graphql(server, getIntrospectionQuery({ descriptions: true, inputValueDeprecation: true }))).errors,
  ).toBe(undefined);
});

test('faults of an input are told up to 100, with paths that are not longer for long names', async () => {
  const metadata = { ['n'.repeat(50_000)]: Array.from({ length: 500 }, () => '\0') };
  const refused = await trySend(server, { conversationId, content: { text: 'Hi.' }, action: 'NONE', metadata });
  if (!('issues' in refused)) throw new Error('was not refused');
  expect(refused.issues).toHaveLength(100);
  expect(JSON.stringify(refused).length).toBeLessThan(100_000);
});

test('what is wrong with a value is not quoted whole', async () => {
  const value = 'x'.repeat(900);
  const query = 'query ($v: [MessageRole!]) { conversation(id: "") { messages(roles: $v) { nodes { id } } } }';
  const result = await graphql(server, query, { v: Array.from({ length: 2000 }, () => value) });
  expect(JSON.stringify(result).length).toBeLessThan(200_000);
  const send =
    'mutation ($v: ContentInput!) { sendMessage(input: { conversationId: "", content: $v }) { __typename } }';
  const { errors } = await graphql(server, send, { v: ['x'.repeat(MiB)] });
  expect(errors?.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^Variable "\$v" got invalid.{900,1000}…$/),
  ]);
});

test('input with many unknown fields is refused without quoting what stands beside them', async () => {
  const query = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';
  const input = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'y'.repeat(200)]));
  const few = await graphql(server, query, { input: input(2) });
  expect(few.errors?.some(({ message }) => message.includes('"x1" is not defined'))).toBe(true);
  const many = await graphql(server, query, { input: input(50) });
  expect(many).toMatchObject(isBadInput);
  expect(many.errors).toHaveLength(1);
  expect(JSON.stringify(many).length).toBeLessThan(1000);
  expect(await overWebSocket(server, query, { input: input(50) })).toMatchObject(isBadInput);
});

test('fragments that are spread in one another beyond what can be validated are refused', async () => {
  const chain = Array.from({ length: 150 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} }`);
  const back = Array.from({ length: 100 }, (_, i) => `...F${i}`).join(' ');
  const query = `{ ...F0 } ${chain.join(' ')} fragment F150 on Query { ${back} }`;
  expect((await graphql(server, query)).errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
  expect(await overWebSocket(server, query)).toMatchObject(isBadInput);
});

test('a hundred nodes take one statement for each of their types', async () => {
  const query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }';
  const ids = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? messageId : conversationId));
  const asked = vi.spyOn(server.services.pool, 'query');
  onTestFinished(() => asked.mockRestore());
  const { data } = await graphql<{ nodes: { id: string }[] }>(guest, query, { ids });
  expect(data?.nodes.map(({ id }) => id)).toEqual(ids);
  expect(asked.mock.calls.length).toBeLessThan(10);
});

test('a request has five pages read at a time, and others are served meanwhile', async () => {
  const pool = limitedPoolOf(server);
  const blocker = await pool.connect();
  let held = 0;
  const [take, give] = [() => (held += 1), () => (held -= 1)];
  pool.on('acquire', take).on('release', give);
  onTestFinished(() => void pool.off('acquire', take).off('release', give));
  await blocker.query('BEGIN; LOCK TABLE message IN ACCESS EXCLUSIVE MODE');
  const pages = aliases(20, `conversation(id: "${conversationId}") { messages(first: 1) { nodes { id } } }`);
  const asked = graphql(server, `{ ${pages} }`);
  await expect.poll(() => held).toBe(responseLimits.pages);
  expect((await graphql(server, '{ agents { nodes { id } } }')).errors).toBeUndefined();
  await expect.poll(() => held).toBe(responseLimits.pages);
  await blocker.query('ROLLBACK');
  blocker.release();
  expect((await asked).errors).toBeUndefined();
});

test('a subscription is begun with at most 64 Ki characters: they are held for as long as it runs', async () => {
  const query = 'subscription ($id: ID!) { conversationEvents(conversationId: $id) { cursor } }';
  const beside = { id: conversationId, padding: 'x'.repeat(66_000) };
  expect(await overWebSocket(guest, query, beside)).toMatchObject(isBadInput);
  expect(await graphql(guest, query, beside)).toMatchObject(isBadInput);
});

test('a message of an end user is at most 64 KiB, with all that goes with it', async () => {
  const message = (bytes: number) => ({ conversationId, content: { text: 'x'.repeat(bytes) }, action: 'NONE' });
  expect(await trySend(guest, message(65_000))).toMatchObject({ __typename: 'SendMessagePayload' });
  expect(await trySend(guest, message(66_000))).toMatchObject({ __typename: 'InvalidInputError' });
  const beside = { ...message(40_000), contentPayload: { a: 'x'.repeat(40_000) } };
  expect(await trySend(guest, beside)).toMatchObject({ __typename: 'InvalidInputError' });
  expect(await trySend(server, message(66_000))).toMatchObject({ __typename: 'SendMessagePayload' });
});
