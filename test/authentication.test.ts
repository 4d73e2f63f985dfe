import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { ask, graphql, openSocket, subscribeSse, subscribeWs, upgradeStatus } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { conversationEvents, conversationEventsQuery } from './harness/events.ts';
import { record } from './harness/recording.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ config: { allowedOrigins: ['https://app.example.com'] } });

/** What does not open the door, as an Authorization header; null: none. */
const bad: [string, string | null][] = [
  ['no key', null],
  ['a wrong key', 'Bearer parley_wrong'],
  ['an empty key', 'Bearer '],
  ['a key without its scheme', 'the-key'],
  ['another scheme', 'Basic dGVzdDp0ZXN0'],
  ['SQL', "Bearer ' OR true --"],
];

function post(authorization: string | null, accept: string, query: string): Promise<Response> {
  return fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: accept,
      ...(authorization !== null && { Authorization: authorization.replace('the-key', server.key) }),
    },
    body: JSON.stringify({ query }),
  });
}

describe.each(bad)('%s', (_case, authorization) => {
  test('is 401 and UNAUTHENTICATED over HTTP, and does nothing', async () => {
    const before = await countRows(server.services.pool);
    const response = await post(
      authorization,
      'application/json',
      'mutation { createConversation(input: {}) { __typename } }',
    );
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    expect(await countRows(server.services.pool)).toEqual(before);
  });

  test('is 401 over SSE', async () => {
    const query = 'subscription { conversationEvents(conversationId: "conv_") { cursor } }';
    const response = await post(authorization, 'text/event-stream', query);
    expect(response.status).toBe(401);
    expect(await response.text()).toContain('UNAUTHENTICATED');
  });

  test('closes a WebSocket with 4401', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const closed = new Promise<[number, string]>((resolve) => {
      socket.on('close', (code, reason) => resolve([code, reason.toString()]));
    });
    const payload =
      authorization === null ? undefined : { Authorization: authorization.replace('the-key', server.key) };
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload })));
    expect(await closed).toEqual([4401, 'UNAUTHENTICATED']);
  });
});

test('nobody learns from the answer whether the request would have made sense', async () => {
  for (const query of ['{ viewer { kind } }', '{ nothing }', '{', '']) {
    const response = await post(null, 'application/json', query);
    expect([query, response.status]).toEqual([query, 401]);
  }
});

describe('a valid key', () => {
  const viewer = '{ viewer { kind scopes } }';

  test('is accepted in the header', async () => {
    expect(await ask(server, viewer)).toEqual({ viewer: { kind: 'API_KEY', scopes: ['READ', 'WRITE', 'ADMIN'] } });
  });

  test.each(['bearer', 'BEARER', 'Bearer '])('is accepted after %j', async (scheme) => {
    const response = await post(`${scheme} ${server.key}`, 'application/json', viewer);
    expect(response.status).toBe(200);
  });

  test('is accepted over WebSocket in the connection parameters, and over SSE in the header', async () => {
    const { conversation, cursor: after } = await createConversation(server, { action: 'NONE' });
    const conversationId = conversation.id;
    await send(server, { conversationId, content: { text: 'Hello.' }, action: 'NONE' });
    for (const subscribe of [subscribeWs, subscribeSse]) {
      const follower = record(conversationEvents(server, { conversationId, after }, subscribe));
      await follower.until((events) => events.length === 1);
      await follower.leave();
    }
  });

  test('is accepted over WebSocket from the header of the upgrade', async () => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { Authorization: `Bearer ${server.key}` },
    });
    const answer = new Promise<string>((resolve) => socket.on('message', (data: Buffer) => resolve(data.toString())));
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    expect(JSON.parse(await answer)).toMatchObject({ type: 'connection_ack' });
    socket.terminate();
  });

  test('serves queries and mutations over WebSocket too', async () => {
    const socket = openSocket(server);
    const [result] = await record(subscribeWs<{ viewer: unknown }>(server, viewer, {}, { socket })).ended();
    expect(result).toEqual({ viewer: { kind: 'API_KEY', scopes: ['READ', 'WRITE', 'ADMIN'] } });
    await socket.dispose();
  });

  test('is not shown by any answer', async () => {
    const result = await graphql(server, '{ nothing }');
    expect(JSON.stringify(result)).not.toContain(server.key);
  });
});

test('before it has introduced itself a WebSocket may not subscribe', async () => {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  const payload = { query: conversationEventsQuery, variables: { conversationId: 'conv_' } };
  socket.on('open', () => socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload })));
  expect(await closed).toBe(4401);
});

describe('the WebSocket of a web page', () => {
  test.each(['https://evil.example', 'http://localhost.evil.example', 'null', 'nonsense', 'http://127.0.0.1:1'])(
    'from %s is refused before it opens',
    async (Origin) => {
      expect(await upgradeStatus(server, { Origin })).toBe(403);
    },
  );

  test('from this server or from an origin that the settings allow is let in', async () => {
    expect(await upgradeStatus(server, { Origin: server.url })).toBe(101);
    expect(await upgradeStatus(server, { Origin: 'https://app.example.com' })).toBe(101);
    expect(await upgradeStatus(server)).toBe(101);
  });
});

describe('the answers to web pages of other origins', () => {
  const preflight = (origin: string) =>
    fetch(`${server.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type',
      },
    });

  test('let them read the rate limit, and ask beforehand once in two hours', async () => {
    const { headers } = await preflight('https://app.example.com');
    expect(headers.get('access-control-max-age')).toBe('7200');
    for (const authorization of [`Bearer ${server.key}`, 'Bearer wrong']) {
      const answer = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { Origin: 'https://app.example.com', 'Content-Type': 'application/json', authorization },
        body: '{"query":"{ __typename }"}',
      });
      const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase().split(/, */) ?? [];
      expect(exposed.sort()).toEqual(['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after']);
    }
  });

  test('let in only those that the settings allow, and never their cookies', async () => {
    const allowed = await preflight('https://app.example.com');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(allowed.headers.get('access-control-allow-credentials')).not.toBe('true');
    const foreign = await preflight('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).not.toBe('*');
  });
});
