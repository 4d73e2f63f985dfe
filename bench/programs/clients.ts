// Any number of subscribers by WebSocket, each on a socket of its own. They do as little as they can: the machine is to be
// left to the server.
import { randomBytes, randomUUID } from 'node:crypto';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { conversationEventsDocument } from '../../src/client/documents.ts';
import { now } from '../clock.ts';
import { obey } from '../process.ts';
import { encodeClientFrame, FrameReader, opcodes } from '../wire.ts';
import { stampsIn } from '../words.ts';
import type { Place } from './server.ts';

/** What all subscribers together have received since they were told to forget. */
export interface Received {
  deltas: number;
  /** From when a delta was produced until it arrived, in milliseconds; none unless the deltas are stamped. */
  delays: number[];
}

export type ClientCommands = {
  /** Opens one subscription for each place; resolves when each has received its first event. */
  subscribe(argument: { url: string; key: string; places: Place[] }): Promise<void>;
  forget(argument: { stamped: boolean }): Promise<void>;
  received(argument: null): Promise<Received>;
  /** How many deltas that are. */
  count(argument: null): Promise<number>;
  /** Resolves when each subscriber has had a delta since then. */
  begun(argument: null): Promise<void>;
  /** Resolves when each subscriber has been told of the end of a reply since then. */
  ended(argument: null): Promise<void>;
  disconnect(argument: null): Promise<void>;
};

/** How many connections are being opened at a time. */
const OPENING = 50;

const sockets = new Set<Socket>();
let received: Received = { deltas: 0, delays: [] };
let stamped = false;
const begun = new Set<Socket>();
const ended = new Set<Socket>();
let onChange: () => void = () => undefined;

async function all(reached: ReadonlySet<Socket>): Promise<void> {
  while (reached.size < sockets.size) await new Promise<void>((resolve) => (onChange = resolve));
}

const commands: ClientCommands = {
  async subscribe({ url, key, places }) {
    const waiting = [...places];
    const open = async () => {
      for (let place = waiting.pop(); place; place = waiting.pop()) await subscribe(url, key, place);
    };
    await Promise.all(Array.from({ length: OPENING }, open));
  },
  forget(argument) {
    received = { deltas: 0, delays: [] };
    begun.clear();
    ended.clear();
    stamped = argument.stamped;
    return Promise.resolve();
  },
  received: () => Promise.resolve(received),
  count: () => Promise.resolve(received.deltas),
  begun: () => all(begun),
  ended: () => all(ended),
  disconnect() {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    return Promise.resolve();
  },
};

/** Resolves with the first event. */
function subscribe(url: string, key: string, place: Place): Promise<void> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'graphql-transport-ws',
  };
  return new Promise((resolve, reject) => {
    const refuse = (why: string) => reject(new Error(`A subscription was refused: ${why}`));
    const request = get(`${url}/graphql`, { headers, agent: false });
    request.on('error', reject);
    request.on('response', ({ statusCode }) => refuse(String(statusCode)));
    request.on('upgrade', (_response, socket: Socket, head) => {
      sockets.add(socket);
      socket.on('error', reject);
      socket.on('close', () => {
        if (sockets.has(socket)) refuse('the server has closed the socket');
      });
      const send = (message: object) => {
        socket.write(encodeClientFrame(opcodes.text, Buffer.from(JSON.stringify(message))));
      };
      let isOpen = false;
      const frames = new FrameReader((opcode, payload) => {
        if (opcode === opcodes.ping) socket.write(encodeClientFrame(opcodes.pong, payload));
        if (opcode === opcodes.close) refuse(payload.toString('utf8', 2));
        if (opcode !== opcodes.text) return;
        if (isOpen) return take(socket, payload);
        const text = payload.toString();
        if (text.includes('"type":"connection_ack"')) {
          send({
            id: randomUUID(),
            type: 'subscribe',
            payload: { query: conversationEventsDocument, variables: place },
          });
        } else if (text.includes('"type":"next"') && !text.includes('"errors"')) {
          isOpen = true;
          resolve();
        } else if (!text.includes('"type":"ping"')) {
          refuse(text);
        }
      });
      socket.on('data', (chunk) => frames.read(chunk));
      send({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } });
      frames.read(head);
    });
  });
}

const delta = Buffer.from('"FragmentDelta"');
const end = Buffer.from('"MessageCompleted"');

function take(socket: Socket, payload: Buffer): void {
  if (payload.includes(delta)) {
    received.deltas += 1;
    if (stamped) takeStamps(payload.toString());
    add(socket, begun);
  } else if (payload.includes(end)) {
    add(socket, ended);
  }
}

function add(socket: Socket, reached: Set<Socket>): void {
  if (reached.has(socket)) return;
  reached.add(socket);
  onChange();
}

function takeStamps(event: string): void {
  const arrived = now();
  const [, text = ''] = /"text":"([^"]*)"/.exec(event) ?? [];
  for (const stamp of stampsIn(text)) received.delays.push(arrived - stamp);
}

obey(commands);
