import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { addKey } from './access.ts';
import { graphql } from './client.ts';
import type { TestServer } from './server.ts';

export const MiB = 1024 * 1024;
/** What most of the requests send. */
export const BODY = 9 * MiB;
const blanks = Buffer.alloc(BODY, ' ');

interface Refusal {
  /** The status over HTTP, the code of the close over WebSocket. */
  code: number;
  text: string;
}

/** What peers send to a server that never finish. What a test leaves open is closed after it. */
export function useUnfinished(server: TestServer) {
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

  const ways = {
    HTTP: {
      send: answerToUnfinished,
      refused: (code: number, text: RegExp) => ({ code, text: expect.stringMatching(text) }),
    },
    WebSocket: {
      send: closeOfUnfinished,
      refused: () => ({ code: 1013, text: expect.stringContaining('TOO_MUCH_AT_A_TIME') }),
    },
  };

  return {
    openTcp,
    closeAll,
    head,
    /** What the first refusal says over HTTP, or that it is one over WebSocket. */
    refusedOver: (way: keyof typeof ways, code: number, text: RegExp): object => ways[way].refused(code, text),
    /** The first refusal of so many requests of each key. */
    offer: (way: keyof typeof ways, keys: readonly string[], requests: number, bytes = BODY): Promise<Refusal> =>
      Promise.race(keys.flatMap((key) => Array.from({ length: requests }, () => ways[way].send(key, bytes)))),
    isServed: async (key: string) => (await graphql({ ...server, key }, '{ viewer { kind } }')).status === 200,
    keysOf: async (organizationId: string, count: number) => {
      const keys = Array.from({ length: count }, () => addKey(server.services, { organizationId }));
      return (await Promise.all(keys)).map(({ secret }) => secret);
    },
  };
}
