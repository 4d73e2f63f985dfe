import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { openSocket, type Subscribe, subscribeSse, subscribeWs } from './harness/client.ts';
import { send } from './harness/commands.ts';
import { conversationEvents } from './harness/events.ts';
import { megabytes } from './harness/megabytes.ts';
import { record } from './harness/recording.ts';
import type { Script } from './harness/scripted-runtime.ts';
import { useScriptedServer } from './harness/scripted-server.ts';

const READERS = 20;
const MAX_CONNECTIONS = READERS + 2;

const { server, runtime, idle } = useScriptedServer({
  config: { keepAliveSeconds: 1, maxConnectionsPerViewer: MAX_CONNECTIONS, maxSubscriptionsPerConnection: 3 },
});

afterEach(() => vi.restoreAllMocks());

const PIECE = 'A line of text that nobody reads 🌊\n'.repeat(400);
const PIECES = Math.ceil((10 * 1024 * 1024) / PIECE.length);
/** In MiB: the text a few times over, while the server stores it, and half of what one copy for each reader would take. */
const BOUND = 100;

const document = `subscription ($replyId: ID!, $after: EventCursor) {
  replyEvents(replyId: $replyId, after: $after) { __typename cursor ... on FragmentDelta { offset text } } }`;

interface Delta {
  __typename: string;
  cursor: string;
  offset?: number;
  text?: string;
}

/** A WebSocket that has asked for a reply, without a library that would read it. */
async function rawFollower(replyId: string): Promise<{ socket: WebSocket; tcp: Socket; events: Delta[] }> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const upgraded = once(socket, 'upgrade');
  await once(socket, 'open');
  const [{ socket: tcp }] = (await upgraded) as [{ socket: Socket }];
  const events: Delta[] = [];
  const begun = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; payload?: { data: { replyEvents: Delta } } };
      if (message.type === 'connection_ack') {
        socket.send(
          JSON.stringify({ id: '1', type: 'subscribe', payload: { query: document, variables: { replyId } } }),
        );
      } else if (message.payload) {
        events.push(message.payload.data.replyEvents);
        resolve();
      }
    });
  });
  const payload = { authorization: `Bearer ${server.key}` };
  socket.send(JSON.stringify({ type: 'connection_init', payload }));
  await begun;
  return { socket, tcp, events };
}

function fold(events: readonly Delta[]): string {
  const pieces: string[] = [];
  let length = 0;
  for (const { offset, text } of events) {
    if (offset === undefined || text === undefined) continue;
    expect(offset).toBe(length);
    pieces.push(text);
    length += text.length;
  }
  return pieces.join('');
}

async function begin(text: string): Promise<{ replyId: string; script: Script }> {
  const { id: conversationId } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

async function stream10Megabytes(script: Script): Promise<string> {
  await script.begin();
  for (let i = 0; i < PIECES; i += 1) await script.write(PIECE);
  await script.end();
  return PIECE.repeat(PIECES);
}

describe('readers that stop reading while 10 MB stream by', () => {
  test('over WebSocket cost no memory, are dropped with 4413, and get the whole text after resuming', async () => {
    const { replyId, script } = await begin('A long story, please.');
    const followers = await Promise.all(Array.from({ length: READERS }, () => rawFollower(replyId)));
    for (const { tcp } of followers) tcp.pause();
    const close = vi.spyOn(WebSocket.prototype, 'close');
    const closed = Promise.all(followers.map(({ socket }) => once(socket, 'close')));
    const before = megabytes();
    const whole = await stream10Megabytes(script);
    expect(megabytes() - before).toBeLessThan(BOUND);

    // Probed and found silent; what the system had taken before comes first, then the code.
    const [first] = followers;
    const dropped = () => close.mock.calls.filter(([code]) => code === 4413).length;
    await expect.poll(dropped, { timeout: 20_000 }).toBe(followers.length);
    for (const { tcp } of followers) tcp.resume();
    for (const [code] of await closed) expect(code).toBe(4413);
    const after = first?.events.at(-1)?.cursor;
    const had = fold(first?.events ?? []);
    expect(had.length).toBeLessThan(whole.length);
    const rest = record(subscribeWs<{ replyEvents: Delta }>(server, document, { replyId, after }));
    const events = (await rest.ended()).map(({ replyEvents: event }) => event);
    expect(had + events.map(({ text }) => text ?? '').join('')).toBe(whole);
    expect(Math.max(...events.map(({ text }) => text?.length ?? 0))).toBeLessThanOrEqual(64 * 1024);
  }, 90_000);

  test('over server-sent events cost no memory and are cut off', async () => {
    const { replyId, script } = await begin('Another long story, please.');
    const responses = await Promise.all(
      Array.from({ length: READERS }, async () => {
        const call = request(`${server.url}/graphql`, {
          method: 'POST',
          headers: {
            'Content-Type': 'application/json',
            Accept: 'text/event-stream',
            Authorization: `Bearer ${server.key}`,
          },
        });
        call.end(JSON.stringify({ query: document, variables: { replyId } }));
        const [response] = (await once(call, 'response')) as [IncomingMessage];
        return response;
      }),
    );
    const cut = Promise.all(responses.map((response) => once(response, 'error')));
    const before = megabytes();
    await stream10Megabytes(script);
    expect(megabytes() - before).toBeLessThan(BOUND);
    await expect.poll(() => server.services.feedRegistry.size, { timeout: 20_000 }).toBe(0);
    for (const response of responses) response.resume();
    for (const [error] of await cut) expect(error).toMatchObject({ code: 'ECONNRESET' });
  }, 60_000);
});

describe('limits', () => {
  test('a WebSocket carries so many subscriptions; one more is refused, and allowed once another has ended', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const socket = openSocket(server);
    const follow = () =>
      record(
        conversationEvents(server, { conversationId, after }, (target, query, variables) =>
          subscribeWs(target, query, variables, { socket }),
        ),
      );
    const allowed = [follow(), follow(), follow()];
    await send(server, { conversationId, content: { text: 'One.' }, action: 'NONE' });
    for (const follower of allowed) await follower.until((events) => events.length > 0);
    await expect(follow().ended()).rejects.toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED' } }] });
    await allowed[0]?.leave();
    await expect
      .poll(async () => {
        const again = follow();
        const seen = await again.until((events) => events.length > 0).catch(() => []);
        if (seen.length > 0) await again.leave();
        return seen.length;
      })
      .toBe(1);
    await socket.dispose();
  });

  test('a credential holds so many connections of both kinds; another is asked to try later', async () => {
    const { id: conversationId, cursor: after } = await idle();
    await send(server, { conversationId, content: { text: 'Two.' }, action: 'NONE' });
    const follow = (subscribe: Subscribe) => record(conversationEvents(server, { conversationId, after }, subscribe));
    const streams = [
      ...Array.from({ length: MAX_CONNECTIONS - 2 }, () => follow(subscribeWs)),
      follow(subscribeSse),
      follow(subscribeSse),
    ];
    for (const stream of streams) await stream.until((events) => events.length > 0);

    await expect(follow(subscribeSse).ended()).rejects.toMatchObject({
      errors: [{ extensions: { code: 'RATE_LIMITED', retryAfter: 5 } }],
    });
    const one = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const closed = once(one, 'close');
    await once(one, 'open');
    one.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}` } }));
    expect((await closed)[0]).toBe(1013);

    await Promise.all(streams.map((stream) => stream.leave()));
    await expect
      .poll(async () => {
        const again = follow(subscribeSse);
        const seen = await again.until((events) => events.length > 0).catch(() => []);
        await again.leave();
        return seen.length;
      })
      .toBe(1);
  });
});

test('a WebSocket whose peer has vanished is let go of, with what it followed', async () => {
  const { replyId, script } = await begin('Anybody there?');
  await script.begin('Hello?');
  const { socket, tcp } = await rawFollower(replyId);
  // It reads, and neither answers a probe nor closes anything.
  tcp.removeAllListeners('data');
  tcp.on('data', () => undefined);
  await expect.poll(() => server.services.feedRegistry.size, { timeout: 20_000 }).toBe(0);
  socket.terminate();
  await script.end();
});
