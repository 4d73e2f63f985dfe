import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/logger.ts';
import { graphql, type Target } from './harness/client.ts';
import { FIRST_KEY, useBootstrappedDatabase } from './harness/database.ts';

const database = useBootstrappedDatabase();
const lines: string[] = [];
/** Ten strangers at a time, five of one address. */
let server: Target & Pick<App, 'services' | 'close'>;
beforeAll(async () => {
  const config = readConfig({
    PORT: '0',
    DATABASE_URL: database.url,
    BOOTSTRAP_API_KEY: FIRST_KEY,
    GRACE_SECONDS: '0',
    KEEP_ALIVE_SECONDS: '1',
    MAX_UNAUTHENTICATED_CONNECTIONS: '10',
  });
  const logger = createLogger({ level: 'info', plain: false, destination: { write: (line) => lines.push(line) } });
  server = { ...(await startApp(config, logger)), key: FIRST_KEY };
});
afterAll(() => server.close());

function openTcp(localAddress?: string): Socket {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ port: Number(port), host: hostname, ...(localAddress !== undefined && { localAddress }) });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** All that the server says until it hangs up. */
async function heard(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  await once(socket, 'close');
  return text;
}

async function openWebSocket(): Promise<WebSocket> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('error', () => undefined);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

const init = (padding = '') =>
  JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}`, padding } });

describe('who has shown no credential', () => {
  test('may send 16 KiB on a WebSocket, and no more, in however many frames', async () => {
    const small = await openWebSocket();
    small.send(init('x'.repeat(15_000)));
    expect(String((await once(small, 'message'))[0])).toContain('connection_ack');
    small.send(JSON.stringify({ type: 'ping', payload: { padding: 'x'.repeat(100_000) } }));
    expect(String((await once(small, 'message'))[0])).toBe('{"type":"pong"}');

    const large = await openWebSocket();
    large.send(init('x'.repeat(17_000)));
    expect((await once(large, 'close'))[0]).toBe(1009);

    const chatty = await openWebSocket();
    const closed = once(chatty, 'close');
    for (let i = 0; i < 40; i += 1) chatty.send(JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(500) } }));
    expect((await closed)[0]).toBe(1009);
  });

  test('may not keep a frame that never ends', async () => {
    const socket = openTcp();
    const key = Buffer.from('0123456789abcdef').toString('base64');
    socket.write(
      `GET /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
    );
    await once(socket, 'data');
    const header = Buffer.from([0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0]);
    const hungUp = once(socket, 'close');
    socket.write(Buffer.concat([header, Buffer.alloc(20_000)]));
    await hungUp;
  });

  test('finds half of the places at most, and is told when to try again; who has shown one has room', async () => {
    const known = await openWebSocket();
    known.send(init());
    await once(known, 'message');
    const held = Array.from({ length: 5 }, () => openTcp());
    await Promise.all(held.map((socket) => once(socket, 'connect')));
    expect(await heard(openTcp())).toMatch(/^HTTP\/1\.1 503 [^]*Retry-After: 1/);
    known.send('{"type":"ping"}');
    expect(String((await once(known, 'message'))[0])).toBe('{"type":"pong"}');
    held[0]?.destroy();
    await expect.poll(async () => (await graphql(server, '{ viewer { kind } }').catch(() => null))?.status).toBe(200);
  });

  // Other systems have one address of the machine itself.
  test.skipIf(process.platform !== 'linux')(
    'finds no more places than there are, from however many addresses',
    async () => {
      const held = ['127.0.0.2', '127.0.0.3'].flatMap((address) => Array.from({ length: 5 }, () => openTcp(address)));
      await Promise.all(held.map((socket) => once(socket, 'connect')));
      expect(await heard(openTcp())).toMatch(/^HTTP\/1\.1 503 /);
      for (const socket of held) socket.destroy();
      await expect.poll(async () => (await graphql(server, '{ viewer { kind } }').catch(() => null))?.status).toBe(200);
    },
  );

  test('has twenty requests of one connection answered at a time, and is cut off with more', async () => {
    const ask = (count: number) => {
      const socket = openTcp();
      socket.write(
        `POST /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nAuthorization: Bearer x\r\n\r\n`.repeat(count),
      );
      return socket;
    };
    const patient = ask(20);
    let text = '';
    patient.on('data', (chunk) => (text += chunk.toString()));
    await expect.poll(() => text.match(/HTTP\/1\.1 401 /g)?.length).toBe(20);
    const greedy = ask(5000);
    text = '';
    greedy.on('data', (chunk) => (text += chunk.toString()));
    // Without `once`, which would reject: what it sent was not read, so the connection is reset.
    await new Promise((resolve) => greedy.on('close', resolve));
    expect(text).toBe('');
    // Nothing of what was cut off is left behind.
    expect(server.services.runningOperations.lately(0)).toEqual([]);
  });
});

test('a ping of any depth is answered, and nothing of it is logged', async () => {
  const socket = await openWebSocket();
  socket.send(init());
  await once(socket, 'message');
  const depth = 100_000;
  socket.send(`{"type":"ping","payload":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`);
  expect(String((await once(socket, 'message'))[0])).toBe('{"type":"pong"}');
  expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});

test('a client that goes away is not logged as a fault', async () => {
  const before = lines.length;
  const body = JSON.stringify({
    query:
      'mutation { createConversation(input: { message: { content: { text: "How do I scale out?" } }, runtimeParameters: { wordsPerSecond: 4 }, awaitReply: true }) { __typename } }',
  });
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` };
  const asking = fetch(`${server.url}/graphql`, { method: 'POST', headers, body, signal: AbortSignal.timeout(300) });
  await expect(asking).rejects.toThrow();
  const half = openTcp();
  half.write(
    `POST /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nAuthorization: Bearer ${server.key}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 40)}`,
  );
  await sleep(200);
  half.resetAndDestroy();
  await sleep(300);
  expect(lines.slice(before).filter((line) => /"level":"(error|warn)"/.test(line))).toEqual([]);
});

test('a WebSocket that is reset while answers wait for it is not logged as a fault', async () => {
  const before = lines.length;
  const { hostname, port } = new URL(server.url);
  for (let i = 0; i < 5; i += 1) {
    const tcp = connect(Number(port), hostname);
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      createConnection: () => tcp,
    });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    socket.send(init());
    await once(socket, 'message');
    tcp.pause();
    const query = '{ __schema { types { name description fields { name description } } } }';
    for (let id = 0; id < 50; id += 1) {
      socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload: { query } }));
    }
    await sleep(200);
    tcp.resetAndDestroy();
  }
  await sleep(300);
  expect(lines.slice(before).filter((line) => line.includes('"level":"error"'))).toEqual([]);
});
