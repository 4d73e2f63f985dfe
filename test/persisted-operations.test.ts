import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPersistedOperations } from '../src/graphql/persisted-operations.ts';
import { openSocket, type Result } from './harness/client.ts';
import { startServer, useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const listed = 'query Who { viewer { kind } }';
const followed = 'subscription Follow($id: ID!) { conversationEvents(conversationId: $id) { __typename } }';
const hash = createHash('sha256').update(listed).digest('hex');
const folder = createTemporaryFolder();
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: unknown): string {
  files += 1;
  const path = join(folder, `list-${files}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const relay = file({ [hash]: listed, follow: followed });
const server = useServer({ config: { persistedOperations: relay } });
let strict: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  strict = await startServer(server.databaseUrl, {
    config: { persistedOperations: relay, persistedOperationsOnly: true },
  });
});
afterAll(() => strict.close());

interface Target {
  url: string;
  key: string;
}

async function post({ url, key }: Target, body: object) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...((await response.json()) as Result<unknown>) };
}

const apollo = (sha256Hash: string) => ({ persistedQuery: { version: 1, sha256Hash } });
const answer = { data: { viewer: { kind: 'API_KEY' } } };

describe('an operation of the list is run by its id', () => {
  it.each([
    ['a hash, as Apollo and urql send it', { extensions: apollo(hash) }],
    ['`documentId`, of GraphQL over HTTP', { documentId: hash }],
    ['`doc_id`, as Relay sends it', { doc_id: hash }],
    ['`id`, as Relay sends it', { id: hash }],
  ])('%s', async (_, body) => {
    expect(await post(server, body)).toEqual({ status: 200, ...answer });
    expect(await post(strict, body)).toEqual({ status: 200, ...answer });
  });

  it('by GET', async () => {
    const url = new URL(`${server.url}/graphql`);
    url.searchParams.set('extensions', JSON.stringify(apollo(hash)));
    const response = await fetch(url, { headers: { Authorization: `Bearer ${server.key}` } });
    expect(await response.json()).toEqual(answer);
  });

  it('over WebSocket, queries and subscriptions', async () => {
    const client = openSocket(strict);
    const run = (extensions: Record<string, unknown>, variables: Record<string, unknown> = {}) =>
      new Promise((resolve) => {
        let last: unknown;
        client.subscribe(
          { query: '', variables, extensions },
          { next: (result) => (last = result), error: resolve, complete: () => resolve(last) },
        );
      });
    expect(await run(apollo(hash))).toEqual(answer);
    expect(await run(apollo('follow'), { id: 'conv_unknown' })).toMatchObject({
      errors: [{ extensions: { code: 'NOT_FOUND' } }],
    });
    expect(await run(apollo('unknown'))).toMatchObject([{ extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }]);
    await client.dispose();
  });

  it('needs a credential like any other', async () => {
    expect(await post({ url: server.url, key: 'wrong' }, { documentId: hash })).toMatchObject({ status: 401 });
  });
});

describe('another operation', () => {
  it('whose id is not listed is not found, so that clients send the text', async () => {
    expect(await post(server, { extensions: apollo('unknown') })).toMatchObject({
      status: 404,
      errors: [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }],
    });
    expect(await post(server, { query: listed, extensions: apollo('unknown') })).toEqual({ status: 200, ...answer });
  });

  it('runs by its text where the list is optional, and is refused where it is required', async () => {
    const body = { query: '{ viewer { kind } }' };
    expect(await post(server, body)).toEqual({ status: 200, ...answer });
    expect(await post(strict, body)).toMatchObject({ status: 403, errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    expect(await post(strict, { ...body, documentId: hash })).toMatchObject({ status: 403 });
    const client = openSocket(strict);
    const refused = await new Promise((resolve) => {
      client.subscribe(body, { next: resolve, error: resolve, complete: () => undefined });
    });
    await client.dispose();
    expect(refused).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }]);
  });

  it('must be named at all', async () => {
    expect(await post(server, {})).toMatchObject({ status: 400, errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });
});

describe('a list', () => {
  const read = (content: unknown) =>
    readPersistedOperations(file(content), { required: false, introspection: true }).then(({ texts }) => [...texts]);

  it("may be Apollo's manifest", async () => {
    const operations = [{ id: hash, name: 'Who', type: 'query', body: listed }];
    const manifest = { format: 'apollo-persisted-query-manifest', version: 1, operations };
    expect(await read(manifest)).toEqual([[hash, listed]]);
  });

  it.each([
    ['that is no JSON', 'ids', /neither a JSON object/],
    ['of something else', [listed], /neither a JSON object/],
    ['with a syntax error', { a: '{ viewer' }, /a: Syntax Error/],
    [
      'with a field that does not exist',
      { a: listed, b: '{ nothing }' },
      /1 faults:\s+b: Cannot query field "nothing"/,
    ],
    [
      'with an operation that costs too much',
      { a: '{ conversations(first: 100) { nodes { messages(first: 100) { nodes { fragments { id } } } } } }' },
      /a: The operation costs too much/,
    ],
  ])('%s is refused at the start, with its faults', async (_, content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  it('that is not there is refused at the start', async () => {
    const missing = join(folder, 'missing.json');
    await expect(readPersistedOperations(missing, { required: true, introspection: true })).rejects.toThrow(/ENOENT/);
    await expect(startServer(server.databaseUrl, { config: { persistedOperationsOnly: true } })).rejects.toThrow(
      /PERSISTED_OPERATIONS names no list/,
    );
  });
});
