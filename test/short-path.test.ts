import { describe, expect, test, vi } from 'vitest';
import { AcceptedOperations } from '../src/graphql/accepted-operations.ts';
import { Arrival } from '../src/graphql/arrivals.ts';
import { createConversation } from './harness/commands.ts';
import { executedOnce } from './harness/executed-once.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

/** Headers that differ from one request to the next. */
const changing = ['date', 'ratelimit-remaining', 'ratelimit-reset'];

interface PostOptions {
  headers?: Record<string, string>;
  path?: 'SHORT' | 'LONG';
}

/** One request, with all that is answered. `path` says whether it may take the short path: Yoga alone knows encodings. */
async function post(body: unknown, { headers = {}, path = 'SHORT' }: PostOptions = {}) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Authorization: `Bearer ${server.key}`,
      ...headers,
      ...(path === 'LONG' && { 'Content-Encoding': 'identity' }),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const told = Object.fromEntries([...response.headers].filter(([name]) => !changing.includes(name)));
  const remaining = Number(response.headers.get('ratelimit-remaining'));
  const text = (await response.text()).replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>');
  return { remaining, answer: { status: response.status, headers: told, text } };
}

const tooMany = 'query Many($n: Int) { __typename agents(first: $n) { nodes { id name } } }';
const unknownId = 'query Node($id: ID!) { node(id: $id) { id } }';

describe('a request whose document has come before is answered as the first was', () => {
  test.each<[string, unknown, { headers?: Record<string, string> }?]>([
    ['data', { query: '{ first: __typename }' }],
    [
      'data for a client of the newer media type',
      { query: '{ a: __typename }' },
      { headers: { Accept: 'application/graphql-response+json, application/json' } },
    ],
    [
      'data for a client of the older media type',
      { query: '{ b: __typename }' },
      { headers: { Accept: 'application/json, application/graphql-response+json' } },
    ],
    ['no type that is accepted', { query: '{ c: __typename }' }, { headers: { Accept: 'text/html' } }],
    ['variables that are null', { query: '{ d: __typename }', variables: null, operationName: null, extensions: null }],
    ['its cost', { query: '{ e: __typename agents { nodes { id } } }', extensions: { cost: true } }],
    ['an error of a field', { query: tooMany, variables: { n: 500 }, extensions: { cost: true } }],
    [
      'an error of a field for a client of the newer media type',
      { query: tooMany, variables: { n: 501 } },
      { headers: { Accept: 'application/graphql-response+json' } },
    ],
    ['too high a cost', { query: tooMany, variables: { n: 100_000 }, extensions: { cost: true } }],
    ['a variable of a wrong type', { query: tooMany, variables: { n: 'many' } }],
    ['a variable that is missing', { query: unknownId, variables: {} }],
    ['one of several operations', { query: 'query A { a: __typename } query B { b: __typename }', operationName: 'B' }],
    ['an operation that is not there', { query: 'query A { a: __typename }', operationName: 'B' }],
    ['an operation without a name', { query: 'query A { a: __typename }', operationName: '' }],
    ['a fault of the document', { query: '{ nothing }' }],
    ['a fault of its syntax', { query: '{ a' }],
    ['an unknown parameter', { query: '{ first: __typename }', more: 1 }],
    ['an unknown parameter that is null', { query: '{ first: __typename }', more: null }],
    ['variables that are a list', { query: '{ first: __typename }', variables: [] }],
    ['several operations at once', [{ query: '{ first: __typename }' }]],
    ['no JSON', '{"query": "{ first'],
    ['an unknown key', { query: '{ first: __typename }' }, { headers: { Authorization: 'Bearer nothing' } }],
  ])('%s', async (_what, body, options = {}) => {
    // Once with a variable that is right, where there is one, so that the operation has run.
    if (typeof body === 'object' && body !== null && 'query' in body) {
      await post({ ...body, variables: { n: 1, id: 'x' } });
    }
    const long = await post(body, { ...options, path: 'LONG' });
    const short = await post(body, options);
    expect(short.answer).toEqual(long.answer);
  });
});

describe('a request that fails', () => {
  test('is counted once, wherever it fails', async () => {
    const next = await post({ query: tooMany, variables: { n: 1 } });
    const faulty = await post({ query: tooMany, variables: { n: 500 } });
    const costly = await post({ query: tooMany, variables: { n: 100_000 } });
    // Each has two fields at its root; what costs too much is refused before they are counted.
    expect([next.remaining - faulty.remaining, faulty.remaining - costly.remaining]).toEqual([2, 1]);
  });

  test('is carried out once: what it has committed it does not commit again', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const query = `mutation Send($input: SendMessageInput!) { sendMessage(input: $input) {
      ... on SendMessagePayload { conversation { messages(first: 500) { nodes { id } } } } } }`;
    const sent = (text: string) => {
      const input = { conversationId: conversation.id, content: { text }, action: 'NONE' };
      return post({ query, variables: { input } });
    };
    await sent('once');
    const { answer } = await sent('twice');
    expect(answer.text).toContain('"committed"');
    expect(await countRows(server.services.pool)).toMatchObject({ message: 2 });
  });

  executedOnce('for a fault of the server is tried no more', async () => {
    const ask = () => post({ query: 'query Faulty { agents { nodes { id } } }' });
    await ask();
    const query = vi.spyOn(server.services.prisma.agent, 'findMany').mockRejectedValue(new Error('broken'));
    const { answer } = await ask();
    expect(answer.text).toContain('INTERNAL_SERVER_ERROR');
    expect(query).toHaveBeenCalledTimes(1);
    query.mockRestore();
  });
});

test('is among the operations that a shutdown waits for, and holds its bytes until it is done', async () => {
  const query = '{ waitedFor: __typename }';
  await post({ query });
  const spies = [vi.spyOn(AcceptedOperations.prototype, 'run'), vi.spyOn(Arrival.prototype, 'during')];
  await post({ query });
  for (const spy of spies) {
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockRestore();
  }
});

test('who starts a visit is a stranger, though the document has come before with a credential', async () => {
  const query = `mutation Start($input: StartVisitInput!) { startVisit(input: $input) { __typename } }
    query Other { __typename }`;
  const input = { inboxKey: 'web_nothing' };
  await post({ query, operationName: 'Other' });
  await post({ query, operationName: 'Start', variables: { input } });
  const short = await post({ query, operationName: 'Start', variables: { input } });
  const long = await post({ query, operationName: 'Start', variables: { input } }, { path: 'LONG' });
  expect(short.answer).toEqual(long.answer);
  expect(short.answer.headers['ratelimit-limit']).not.toBe(
    (await post({ query, operationName: 'Other' })).answer.headers['ratelimit-limit'],
  );
});
