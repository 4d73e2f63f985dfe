import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Viewer } from '../src/access/viewer.ts';
import { arrivalLimits, Arrivals } from '../src/graphql/arrivals.ts';
import { addContact, addKey, addOrganization, mintToken, type Organization } from './harness/access.ts';
import { graphql } from './harness/client.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ config: { rateLimitPerKey: 0 } });
let others: Organization;
beforeAll(async () => {
  others = await addOrganization(server.services);
});

const MiB = 1024 * 1024;
const BODY = 9 * MiB;
const blanks = Buffer.alloc(BODY, ' ');

const opened: Socket[] = [];
const closeAll = () => opened.splice(0).forEach((socket) => socket.destroy());
afterEach(closeAll);

function openTcp(): Socket {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on('error', () => undefined);
  opened.push(socket);
  return socket;
}

const head = (key: string, length: string) =>
  `POST /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nAuthorization: Bearer ${key}\r\n` +
  `Content-Type: application/json\r\n${length}\r\n\r\n`;

interface Refusal {
  /** The status over HTTP, the code of the close over WebSocket. */
  code: number;
  text: string;
}

/** Sends a request all but its last byte. Resolves with the answer. */
async function answerToUnfinished(key: string, bytes: number): Promise<Refusal> {
  const socket = openTcp();
  const answered = once(socket, 'data');
  socket.write(head(key, `Content-Length: ${bytes + 1}`));
  socket.write(blanks.subarray(0, bytes));
  const text = String((await answered)[0]);
  return { code: Number(text.split(' ')[1]), text };
}

/** Sends a message all but its last frame. Resolves when the socket is closed. */
async function closeOfUnfinished(key: string, bytes: number): Promise<Refusal> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    // A mask of zeroes saves the work of masking.
    generateMask: (mask) => void mask.fill(0),
  });
  socket.on('error', () => undefined);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const acknowledged = once(socket, 'message');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } }));
  await acknowledged;
  const closed = once(socket, 'close');
  socket.send(blanks.subarray(0, bytes), { fin: false });
  const [code, reason] = (await closed) as [number, Buffer];
  return { code, text: reason.toString() };
}

const ways = [
  ['HTTP', answerToUnfinished],
  ['WebSocket', closeOfUnfinished],
] as const;

describe.each(ways)('requests that never end, over %s', (way, unfinished) => {
  const refusedFor = (code: number, text: RegExp) =>
    way === 'HTTP'
      ? { code, text: expect.stringMatching(text) }
      : { code: 1013, text: expect.stringContaining('TOO_MUCH_AT_A_TIME') };
  /** The first refusal of so many requests of each key. */
  const offer = (keys: readonly string[], requests: number, bytes = BODY) =>
    Promise.race(keys.flatMap((key) => Array.from({ length: requests }, () => unfinished(key, bytes))));
  const isServed = async (key: string) => (await graphql({ ...server, key }, '{ viewer { kind } }')).status === 200;
  const keysOf = async (organizationId: string, count: number) => {
    const keys = Array.from({ length: count }, () => addKey(server.services, { organizationId }));
    return (await Promise.all(keys)).map(({ secret }) => secret);
  };

  test('hold 8 MiB of one person, with whatever tokens', async () => {
    const { contactId, key } = others;
    const target = { ...server, key };
    const tokens = await Promise.all([mintToken(target, { contactId }), mintToken(target, { contactId })]);
    expect(await offer(tokens, 5, MiB - 1000)).toMatchObject(refusedFor(429, /Retry-After: 1\r\n[^]* 8388608 bytes/i));
    const another = await mintToken(target, { contactId: await addContact(server.services, others.id) });
    expect(await isServed(another)).toBe(true);
  });

  test('hold 64 MiB of one key, which is served again once they are gone', async () => {
    const requests = Math.ceil(arrivalLimits.key / BODY);
    const told = refusedFor(429, /Retry-After: 1\r\n[^]* 67108864 bytes/i);
    expect(await offer([server.key], requests)).toMatchObject(told);
    expect(await isServed(others.key)).toBe(true);
    closeAll();
    await expect.poll(() => isServed(server.key)).toBe(true);
    // As much again is taken, and refused only beyond it.
    expect(await offer([server.key], requests)).toMatchObject(told);
  });

  test('hold 128 MiB of one organization, with whatever keys', async () => {
    const { id, key } = await addOrganization(server.services);
    const keys = [key, ...(await keysOf(id, 2))];
    expect(await offer(keys, 5)).toMatchObject(refusedFor(429, /Retry-After: 1\r\n[^]* 134217728 bytes/i));
    expect(await isServed(others.key)).toBe(true);
  });

  test('hold 256 MiB of the server, of whomever', async () => {
    // No organization and no key sends more than it may.
    const organizations = await Promise.all(Array.from({ length: 3 }, () => addOrganization(server.services)));
    const keys = await Promise.all(organizations.map(async ({ id, key }) => [key, ...(await keysOf(id, 1))]));
    expect(await offer(keys.flat(), 7)).toMatchObject(refusedFor(503, /Retry-After: 1\r\n[^]*Too much is being sent/i));
    closeAll();
    await expect.poll(() => isServed(others.key)).toBe(true);
  });
});

describe('a request that is too large', () => {
  /** Sends for as long as somebody listens. */
  async function sendUntilClosed(socket: Socket, piece: Buffer): Promise<void> {
    const closed = once(socket, 'close').catch(() => undefined);
    const more = () => {
      if (socket.writable) socket.write(piece, (error) => error ?? setImmediate(more));
    };
    more();
    await closed;
  }

  test.each([
    ['declares it', 'Content-Length: 1000000000', Buffer.alloc(1000, ' ')],
    ['does not tell', 'Transfer-Encoding: chunked', Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`)],
  ])('is refused with 413 when it %s, and its connection ends although it goes on', async (_how, length, piece) => {
    const socket = openTcp();
    const answered = once(socket, 'data');
    socket.write(head(server.key, length));
    const closed = sendUntilClosed(socket, piece);
    expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 413 /);
    await closed;
  });

  test('of a stranger is refused with 401, and its connection ends although it goes on', async () => {
    const socket = openTcp();
    const answered = once(socket, 'data');
    socket.write(head('nonsense', 'Content-Length: 1000000000'));
    const closed = sendUntilClosed(socket, Buffer.alloc(1000, ' '));
    expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 401 /);
    await closed;
  });

  test('that has arrived a little after its answer leaves the connection open', async () => {
    const socket = openTcp();
    const answers: string[] = [];
    socket.on('data', (data) => answers.push(data.toString()));
    socket.write(head('nonsense', 'Content-Length: 10'));
    await expect.poll(() => answers.join('')).toMatch(/^HTTP\/1\.1 401 /);
    socket.write(' '.repeat(10));
    socket.write(head('nonsense', 'Content-Length: 0'));
    await expect.poll(() => answers.join('').match(/HTTP\/1\.1 401 /g)?.length).toBe(2);
  });

  test.each([
    ['a key', () => server.key, 11 * MiB],
    ['a client token', () => mintToken({ ...server, key: others.key }, { contactId: others.contactId }), MiB + 1],
  ])(
    'over WebSocket with %s closes it with 1009, and the connection ends although it goes on',
    async (_who, secret, bytes) => {
      const key = await secret();
      const socket = openTcp();
      const nonce = Buffer.from('0123456789abcdef').toString('base64');
      socket.write(
        `GET /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${nonce}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
      );
      const heard: Buffer[] = [];
      socket.on('data', (data: Buffer) => heard.push(data));
      await expect.poll(() => heard.join('')).toContain('101 ');
      socket.write(
        frame(Buffer.from(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } }))),
      );
      await expect.poll(() => heard.join('')).toContain('connection_ack');
      heard.length = 0;
      socket.write(frame(Buffer.alloc(bytes, ' ')));
      await sendUntilClosed(socket, frame(Buffer.from('{"type":"ping"}')));
      // A frame that closes, with 1009.
      expect(Buffer.concat(heard).subarray(0, 4).toString('hex')).toMatch(/^88..03f1$/);
    },
  );

  /** A whole text message, masked with zeroes. */
  function frame(text: Buffer): Buffer {
    const header = Buffer.alloc(14);
    header[0] = 0x81;
    header[1] = 0x80 | 127;
    header.writeBigUInt64BE(BigInt(text.length), 2);
    return Buffer.concat([header, text]);
  }
});

describe('what is counted', () => {
  const viewer = (of: Partial<Viewer>): Viewer => ({
    kind: 'API_KEY',
    id: 'key',
    organizationId: 'ours',
    scopes: [],
    tokenGeneration: 0,
    operatorId: null,
    endsWith: [],
    contactId: null,
    confinedTo: null,
    actor: { kind: 'SYSTEM' },
    keyId: 'key',
    expiresAt: null,
    ...of,
  });
  const code = (fault: ReturnType<ReturnType<Arrivals['begin']>['add']>) => fault?.extensions.code;

  test('is limited for a person, a key, an organization and the server', () => {
    const arrivals = new Arrivals({ person: 10, key: 20, organization: 30, server: 40 });
    const person = arrivals.begin(viewer({ kind: 'CLIENT_TOKEN', id: 'token', contactId: 'someone' }));
    const again = arrivals.begin(viewer({ kind: 'CLIENT_TOKEN', id: 'another token', contactId: 'someone' }));
    expect([person.add(6), code(again.add(5)), again.add(4)]).toEqual([null, 'RATE_LIMITED', null]);
    const key = arrivals.begin(viewer({}));
    expect([key.add(20), code(key.add(1))]).toEqual([null, 'RATE_LIMITED']);
    expect(code(arrivals.begin(viewer({ id: 'another key' })).add(1))).toBe('RATE_LIMITED');
    const theirs = arrivals.begin(viewer({ organizationId: 'theirs', id: 'their key' }));
    expect([theirs.add(10), code(theirs.add(1))]).toEqual([null, 'SERVICE_UNAVAILABLE']);
    for (const arrival of [person, again, key, theirs]) arrival.end();
    expect(arrivals.bytes).toBe(0);
  });

  test('counts until the request is gone and what was done with it is done', async () => {
    const arrivals = new Arrivals();
    const arrival = arrivals.begin(viewer({}));
    arrival.add(100);
    arrival.remove(40);
    let finish = () => {};
    const work = arrival.during(() => new Promise<void>((resolve) => (finish = resolve)));
    arrival.end();
    arrival.end();
    expect(arrivals.bytes).toBe(60);
    finish();
    await work;
    expect(arrivals.bytes).toBe(0);
    arrival.add(100);
    expect(arrivals.bytes).toBe(0);
  });
});
