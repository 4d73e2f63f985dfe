import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Viewer } from '../src/access/viewer.ts';
import { arrivalLimits, Arrivals } from '../src/graphql/arrivals.ts';
import { addOrganization, type Organization } from './harness/access.ts';
import { graphql } from './harness/client.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ config: { rateLimitPerKey: 0 } });
let others: Organization;
beforeAll(async () => {
  others = await addOrganization(server.services);
});

const MiB = 1024 * 1024;
const BODY = 9 * MiB;

const opened: Socket[] = [];
const closeAll = () => opened.splice(0).forEach((socket) => socket.destroy());
afterEach(closeAll);

function openTcp(): Socket {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  opened.push(socket);
  return socket;
}

/** Sends a request all but its last byte. Resolves with the head of the answer. */
async function answerToUnfinished(bytes: number): Promise<string> {
  const socket = openTcp();
  const answered = once(socket, 'data');
  socket.write(
    `POST /graphql HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nAuthorization: Bearer ${server.key}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${bytes + 1}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(bytes, ' '));
  const [head] = (await answered) as [Buffer];
  return head.toString();
}

describe('requests that never end', () => {
  test('hold 64 MiB of one key; it is told to try again, others are served, and it is too once they are gone', async () => {
    const asked = Array.from({ length: Math.ceil(arrivalLimits.key / BODY) }, () => answerToUnfinished(BODY));
    expect(await Promise.race(asked)).toMatch(/^HTTP\/1\.1 429 [^]*Retry-After: 1\r\n/i);
    expect(await graphql({ ...server, key: others.key }, '{ viewer { kind } }')).toMatchObject({ status: 200 });
    closeAll();
    await expect.poll(async () => (await graphql(server, '{ viewer { kind } }')).status).toBe(200);
    // As much again is taken, and refused only beyond it.
    const again = Array.from({ length: Math.ceil(arrivalLimits.key / BODY) }, () => answerToUnfinished(BODY));
    expect(await Promise.race(again)).toMatch(/^HTTP\/1\.1 429 /);
  });

  test('over WebSocket close the socket with 1013 when they hold too much together', async () => {
    const open = async () => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
      socket.on('error', () => undefined);
      onTestFinished(() => socket.terminate());
      await once(socket, 'open');
      const acknowledged = once(socket, 'message');
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}` } }));
      await acknowledged;
      return socket;
    };
    const sockets = await Promise.all(Array.from({ length: Math.ceil(arrivalLimits.key / BODY) }, open));
    const closed = sockets.map(async (socket) => (await once(socket, 'close'))[0] as number);
    for (const socket of sockets) socket.send(Buffer.alloc(BODY, ' '), { fin: false });
    expect(await Promise.race(closed)).toBe(1013);
    // The others are still heard.
    expect(sockets.filter(({ readyState }) => readyState === WebSocket.OPEN).length).toBeGreaterThan(0);
  });
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
