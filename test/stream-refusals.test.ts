import { describe, expect, test } from 'vitest';
import { encodeCursor } from '../src/conversations/stream/cursor.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { openSocket, RefusedError, subscribeSse, subscribeWs } from './harness/client.ts';
import { send } from './harness/commands.ts';
import { conversationEvents, conversationEventsQuery, type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import type { Stream } from './harness/stream.ts';

const { server, runtime, idle } = useScriptedServer();

const transports = [
  ['WebSocket', subscribeWs],
  ['SSE', subscribeSse],
] as const;

async function refusal(stream: Stream<unknown>): Promise<RefusedError> {
  const error: unknown = await stream.next().then(
    () => new Error('The stream was not refused.'),
    (cause: unknown) => cause,
  );
  if (error instanceof RefusedError) return error;
  throw error;
}

async function codeOf(stream: Stream<unknown>): Promise<unknown> {
  const { errors } = await refusal(stream);
  expect(errors).toHaveLength(1);
  expect(JSON.stringify(errors)).not.toMatch(/stack|\.ts\b|node_modules/);
  return errors[0]?.extensions?.code;
}

/** A conversation with one ended reply: the log is at version 4. */
async function answered() {
  const { id: conversationId } = await idle();
  const text = `Answer ${conversationId}.`;
  const { message, reply, cursor } = await send(server, { conversationId, content: { text } });
  const script = await runtime.replyTo(text);
  await script.begin('Answered.');
  await script.end();
  await record(replyEvents(server, { replyId: reply?.id ?? '' })).ended();
  return { conversationId, messageId: message.id, replyId: reply?.id ?? '', cursor };
}

describe.each(transports)('by %s', (_name, subscribe) => {
  test.each([
    ['an unknown conversation', () => encodeId('Conversation', newId())],
    ['a malformed id', () => 'conv_nonsense'],
    ['an empty id', () => ''],
    ['an id of another kind', () => encodeId('Message', newId())],
  ])('%s is NOT_FOUND', async (_case, idOf) => {
    expect(await codeOf(conversationEvents(server, { conversationId: idOf() }, subscribe))).toBe('NOT_FOUND');
    expect(await codeOf(replyEvents(server, { replyId: idOf() }, subscribe))).toBe('NOT_FOUND');
  });

  test('a message that is not a reply has no events of a reply: NOT_FOUND', async () => {
    const { messageId } = await answered();
    expect(await codeOf(replyEvents(server, { replyId: messageId }, subscribe))).toBe('NOT_FOUND');
  });

  test('a cursor that is malformed, of another conversation or ahead of the log is BAD_USER_INPUT', async () => {
    const { conversationId, replyId } = await answered();
    const { cursor: foreign } = await answered();
    const uuid = decodeId('Conversation', conversationId) ?? '';
    const bad = [
      '',
      'nonsense',
      '💥',
      Buffer.from('x.1').toString('base64url'),
      foreign,
      encodeCursor(uuid, { version: 5, running: null }),
      encodeCursor(uuid, { version: 2 ** 31 - 1, running: null }),
      encodeCursor(uuid, { version: -1, running: null }),
      encodeCursor(uuid, { version: 1.5, running: null }),
      encodeCursor(uuid, { version: 2, running: { version: 3, fragment: 0, started: false, units: 0 } }),
      encodeCursor(uuid, { version: 3, running: { version: 2, fragment: 0, started: false, units: 0 } }),
    ];
    for (const after of bad) {
      const code = await codeOf(conversationEvents(server, { conversationId, after }, subscribe));
      expect([after, code]).toEqual([after, 'BAD_USER_INPUT']);
      expect([after, await codeOf(replyEvents(server, { replyId, after }, subscribe))]).toEqual([
        after,
        'BAD_USER_INPUT',
      ]);
    }
  });

  test('a cursor that is not a string is BAD_USER_INPUT', async () => {
    const { conversationId } = await answered();
    const inVariable = subscribe(server, conversationEventsQuery, { conversationId, after: 5 });
    expect(await codeOf(inVariable)).toBe('BAD_USER_INPUT');
    const inQuery = `subscription { conversationEvents(conversationId: "${conversationId}", after: 5) { cursor } }`;
    expect(await codeOf(subscribe(server, inQuery))).toBe('BAD_USER_INPUT');
  });

  test('a request that is not valid GraphQL is BAD_USER_INPUT', async () => {
    const bad = [
      'subscription {',
      'subscription { conversationEvents { cursor } }',
      'subscription { nothing }',
      'nonsense',
    ];
    for (const query of bad) expect([query, await codeOf(subscribe(server, query))]).toEqual([query, 'BAD_USER_INPUT']);
  });
});

test('a fault in its middle ends a stream with the id of a request and nothing of its cause', async () => {
  const { id: conversationId, cursor: after } = await idle();
  const followers = transports.map(([, subscribe]) => ({
    subscribe,
    follower: record(conversationEvents(server, { conversationId, after }, subscribe)),
  }));
  const say = (text: string) => send(server, { conversationId, content: { text }, action: 'NONE' });
  await say('All is well.');
  const told = await Promise.all(followers.map(({ follower }) => follower.until(({ length }) => length === 1)));
  const { pool } = server.services;
  // Which only those look at who read a message.
  await pool.query('ALTER TABLE chunk RENAME COLUMN reversed TO canary');
  try {
    await say('Is it?');
    for (const { follower } of followers) {
      const fault: unknown = await follower.ended().catch((error: unknown) => error);
      if (!(fault instanceof RefusedError)) throw new Error('The stream did not end in a fault.', { cause: fault });
      expect(fault.errors).toEqual([
        expect.objectContaining({
          message: expect.stringMatching(/^Internal error\./),
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) },
        }),
      ]);
      expect(JSON.stringify(fault.errors)).not.toMatch(/canary|reversed|chunk|prisma|stack|\.ts\b/i);
    }
  } finally {
    await pool.query('ALTER TABLE chunk RENAME COLUMN canary TO reversed');
  }
  for (const [n, { subscribe }] of followers.entries()) {
    const last = told[n]?.[0]?.cursor ?? '';
    const rest = record(conversationEvents(server, { conversationId, after: last }, subscribe));
    expect(await rest.until(({ length }) => length === 1)).toMatchObject([{ message: { text: 'Is it?' } }]);
    await rest.leave();
  }
});

test.each([
  ['NOT_FOUND', 404, async () => ({ conversationId: encodeId('Conversation', newId()) })],
  ['BAD_USER_INPUT', 400, async () => ({ conversationId: (await answered()).conversationId, after: 'nonsense' })],
])('%s has the HTTP status %i by SSE', async (_code, status, variables) => {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'text/event-stream',
      Authorization: `Bearer ${server.key}`,
    },
    body: JSON.stringify({ query: conversationEventsQuery, variables: await variables() }),
  });
  await response.text();
  expect(response.status).toBe(status);
});

test('after a refusal the WebSocket goes on with its other subscriptions and takes new ones', async () => {
  const { id: conversationId, cursor: after } = await idle();
  const socket = openSocket(server);
  const closings: unknown[] = [];
  socket.on('closed', (event) => closings.push(event));
  const on = { socket };
  const follow = (variables: Record<string, unknown>) =>
    subscribeWs<{ event: Event }>(server, conversationEventsQuery, { conversationId, ...variables }, on);
  const running = record(follow({ after }));
  const { reply } = await send(server, { conversationId, content: { text: 'Keep going.' } });
  const replyId = reply?.id ?? '';
  const script = await runtime.replyTo('Keep going.');
  await script.begin('Before ');
  const told = (text: string) => (items: readonly { event: Event }[]) =>
    textOf(
      items.map(({ event }) => event),
      replyId,
    ) === text;
  await running.until(told('Before '));

  expect(await codeOf(follow({ after: 'nonsense' }))).toBe('BAD_USER_INPUT');
  expect(await codeOf(follow({ conversationId: 'conv_nonsense' }))).toBe('NOT_FOUND');
  expect(await codeOf(follow({ conversationId: 7, after: {} }))).toBe('BAD_USER_INPUT');
  expect(await codeOf(subscribeWs(server, 'subscription {', {}, on))).toBe('BAD_USER_INPUT');
  expect(await codeOf(subscribeWs(server, '{ nothing }', {}, on))).toBe('BAD_USER_INPUT');

  const second = record(follow({ after }));
  await script.write('and after.');
  await Promise.all([running, second].map((recording) => recording.until(told('Before and after.'))));
  await script.end();
  expect(closings).toEqual([]);
  await Promise.all([running.leave(), second.leave()]);
  await socket.dispose();
});
