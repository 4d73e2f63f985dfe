import { once } from 'node:events';
import type { Socket } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Viewer } from '../src/access/viewer.ts';
import { Arrivals } from '../src/graphql/arrivals.ts';
import { addContact, addOrganization, mintToken, type Organization } from './harness/access.ts';
import { useServer } from './harness/server.ts';
import { MiB, useUnfinished } from './harness/unfinished.ts';

const server = useServer({ config: { rateLimitPerKey: 0 } });
const { openTcp, head, offer, refusedOver, isServed } = useUnfinished(server);
let others: Organization;
beforeAll(async () => {
  others = await addOrganization(server.services);
});

describe.each(['HTTP', 'WebSocket'] as const)('requests that never end, over %s', (way) => {
  test('hold 8 MiB of one person, with whatever tokens', async () => {
    const { contactId, key } = others;
    const target = { ...server, key };
    const tokens = await Promise.all([mintToken(target, { contactId }), mintToken(target, { contactId })]);
    const told = refusedOver(way, 429, /Retry-After: 1\r\n[^]* 8388608 bytes/i);
    expect(await offer(way, tokens, 5, MiB - 1000)).toMatchObject(told);
    const another = await mintToken(target, { contactId: await addContact(server.services, others.id) });
    expect(await isServed(another)).toBe(true);
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
