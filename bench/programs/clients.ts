// Any number of subscribers by WebSocket or server-sent events, each on a socket of its own. They do as little as they can: the machine is to be
// left to the server.
import { randomBytes, randomUUID } from 'node:crypto';
import { get, request } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { conversationEventsDocument } from '../../client/documents.ts';
import { now } from '../clock.ts';
import { obey } from '../process.ts';
import { encodeClientFrame, EventReader, FrameReader, opcodes } from '../wire.ts';
import { stampsIn } from '../words.ts';
import type { Place } from './server.ts';

/** What all subscribers together have received since they were told to forget. */
export interface Received {
  deltas: number;
  /** From when a delta was produced until it arrived, in milliseconds; none unless the deltas are stamped. */
  delays: number[];
  /** The delay of the first delta alone, of each subscriber that has received one. */
  firstDelays: number[];
}

/** How a subscriber follows. */
export type Transport = 'WebSocket' | 'SSE';

/** All of them that wait for something or tell what was received reject once a subscription has broken. */
export type ClientCommands = {
  /** Opens one subscription for each place; resolves when each has received its first event. */
  subscribe(argument: { url: string; key: string; transport: Transport; places: Place[] }): Promise<void>;
  forget(argument: { stamped: boolean }): Promise<void>;
  received(argument: null): Promise<Received>;
  /** How many deltas that are. */
  count(argument: null): Promise<number>;
  /** Resolves when each subscriber has had a delta since then. */
  begun(argument: null): Promise<void>;
  /** Resolves when each subscriber has been told of the end of a reply since then. */
  ended(argument: null): Promise<void>;
  /** Rejects when a subscription has broken. */
  check(argument: null): Promise<void>;
  disconnect(argument: null): Promise<void>;
};

/** How many connections are being opened at a time. */
const OPENING = 50;

/** What breaks together is given this long to be counted together, in milliseconds. */
const BREAKING_MS = 200;

const sockets = new Set<Socket>();
/** The events that came with errors, the replies that ended in one, and the subscriptions that ended by themselves. */
const faults: string[] = [];
let received = nothing();
let stamped = false;
const begun = new Set<Socket>();
const ended = new Set<Socket>();
let onChange: () => void = () => undefined;

function nothing(): Received {
  return { deltas: 0, delays: [], firstDelays: [] };
}

async function all(reached: ReadonlySet<Socket>): Promise<void> {
  while (reached.size < sockets.size && faults.length === 0) {
    await new Promise<void>((resolve) => (onChange = resolve));
  }
  await check();
}

async function check(): Promise<void> {
  const [first] = faults;
  if (first === undefined) return;
  await sleep(BREAKING_MS);
  throw new Error(`${faults.length} faults in what subscribers were to receive, the first: ${first}`);
}

const commands: ClientCommands = {
  async subscribe({ url, key, transport, places }) {
    const waiting = [...places];
    const subscribe = transport === 'SSE' ? subscribeByEvents : subscribeBySocket;
    const open = async () => {
      for (let place = waiting.pop(); place; place = waiting.pop()) await subscribe(url, key, place);
    };
    await Promise.all(Array.from({ length: OPENING }, open));
    await check();
  },
  forget(argument) {
    received = nothing();
    begun.clear();
    ended.clear();
    stamped = argument.stamped;
    return Promise.resolve();
  },
  async received() {
    await check();
    return received;
  },
  count: () => Promise.resolve(received.deltas),
  begun: () => all(begun),
  ended: () => all(ended),
  check,
  disconnect() {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    return Promise.resolve();
  },
};

/** Resolves with the first event. */
function subscribeByEvents(url: string, key: string, place: Place): Promise<void> {
  const headers = {
    authorization: `Bearer ${key}`,
    'content-type': 'application/json',
    accept: 'text/event-stream',
  };
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/graphql`, { method: 'POST', headers, agent: false }, (response) => {
      const { socket, statusCode } = response;
      if (statusCode !== 200) return reject(new Error(`A subscription was refused: ${statusCode}`));
      sockets.add(socket);
      let isOpen = false;
      const lose = (why: string) => {
        if (sockets.delete(socket)) addFault(why);
      };
      response.on('error', ({ message }) => lose(message));
      response.on('close', () => lose('the server has ended the response'));
      const events = new EventReader((event) => {
        if (isOpen) return take(socket, event);
        isOpen = true;
        resolve();
      });
      response.on('data', (chunk: Buffer) => events.read(chunk));
    });
    asked.on('error', reject);
    asked.end(JSON.stringify({ query: conversationEventsDocument, variables: place }));
  });
}

/** Resolves with the first event. */
function subscribeBySocket(url: string, key: string, place: Place): Promise<void> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'graphql-transport-ws',
  };
  return new Promise((resolve, reject) => {
    const refuse = (why: string) => reject(new Error(`A subscription was refused: ${why}`));
    const asked = get(`${url}/graphql`, { headers, agent: false });
    asked.on('error', reject);
    asked.on('response', ({ statusCode }) => refuse(String(statusCode)));
    asked.on('upgrade', (_response, socket: Socket, head) => {
      sockets.add(socket);
      let isOpen = false;
      const lose = (why: string) => {
        if (!isOpen) refuse(why);
        else if (sockets.delete(socket)) addFault(why);
      };
      socket.on('error', ({ message }) => lose(message));
      socket.on('close', () => lose('the server has closed the socket'));
      const send = (message: object) => {
        socket.write(encodeClientFrame(opcodes.text, Buffer.from(JSON.stringify(message))));
      };
      const frames = new FrameReader((opcode, payload) => {
        if (opcode === opcodes.ping) socket.write(encodeClientFrame(opcodes.pong, payload));
        if (opcode === opcodes.close) lose(payload.toString('utf8', 2));
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
const errors = Buffer.from('"errors":');
/** What is no delta and should not be. */
const failures = ['"type":"error"', '"type":"complete"', '"status":"ERROR"'].map((mark) => Buffer.from(mark));

function take(socket: Socket, payload: Buffer): void {
  const isDelta = payload.includes(delta);
  if (payload.includes(errors) || (!isDelta && failures.some((mark) => payload.includes(mark)))) {
    addFault(payload.toString());
  } else if (isDelta) {
    received.deltas += 1;
    if (stamped) takeStamps(payload.toString(), !begun.has(socket));
    add(socket, begun);
  } else if (payload.includes(end)) {
    add(socket, ended);
  }
}

function addFault(what: string): void {
  faults.push(what);
  onChange();
}

function add(socket: Socket, reached: Set<Socket>): void {
  if (reached.has(socket)) return;
  reached.add(socket);
  onChange();
}

function takeStamps(event: string, isFirst: boolean): void {
  const arrived = now();
  const [, text = ''] = /"text":"([^"]*)"/.exec(event) ?? [];
  const delays = stampsIn(text).map((stamp) => arrived - stamp);
  if (isFirst) received.firstDelays.push(...delays.slice(0, 1));
  received.delays.push(...delays);
}

obey(commands);
