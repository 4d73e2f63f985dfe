// The limit for delivery: a server that does nothing but splice frames by hand and write them to the raw sockets, as WebSocket frames
// or as server-sent events. What it sends is what Parley would, to the byte.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { encodeCursor } from '../../src/conversations/stream/cursor.ts';
import { decodeId, encodeFragmentId, encodeId, newId } from '../../src/ids.ts';
import { Metronome } from '../clock.ts';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { acceptKey, encodeFrame, FrameReader, opcodes } from '../wire.ts';
import { produce, type Script } from '../words.ts';
import { startProfile, stopProfile } from './profiler.ts';
import type { ServerCommands } from './server.ts';
import { usage } from './usage.ts';

interface Subscriber {
  socket: Duplex;
  /** What a frame begins with, which differs between subscribers. Null for server-sent events, which are the same for all. */
  head: Buffer | null;
}

/** What all subscribers are told. */
class Told {
  /** What follows the head of a frame. */
  readonly tail: Buffer;
  private readonly json: string;
  private asChunk: Buffer | null = null;

  constructor(event: object) {
    this.json = JSON.stringify(event);
    this.tail = Buffer.from(`${this.json}}}}`);
  }

  /** A chunk of HTTP/1.1 that holds a server-sent event. */
  get chunk(): Buffer {
    const event = () => `event: next\ndata: {"data":{"event":${this.json}}}\n\n`;
    return (this.asChunk ??= Buffer.from(`${Buffer.byteLength(event()).toString(16)}\r\n${event()}\r\n`));
  }
}

const subscribers = new Map<string, Set<Subscriber>>();

const server = createServer();
server.on('upgrade', (req, socket) => {
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Protocol: graphql-transport-ws\r\n' +
      `Sec-WebSocket-Accept: ${acceptKey(req.headers['sec-websocket-key'] ?? '')}\r\n\r\n`,
  );
  let following: Set<Subscriber> | undefined;
  let subscriber: Subscriber | undefined;
  const frames = new FrameReader((opcode, payload) => {
    if (opcode !== opcodes.text) return;
    const text = payload.toString();
    if (text.includes('"connection_init"')) {
      socket.write(encodeFrame(opcodes.text, Buffer.from('{"type":"connection_ack"}')));
      return;
    }
    const [id, conversationId] = ['id', 'conversationId'].map(
      (name) => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1],
    );
    following = subscribers.get(conversationId ?? '');
    subscriber = { socket, head: Buffer.from(`{"id":"${id ?? ''}","type":"next","payload":{"data":{"event":`) };
    following?.add(subscriber);
    write(subscriber, new Told({ __typename: 'ConversationCreated' }));
  });
  const leave = () => {
    if (subscriber) following?.delete(subscriber);
  };
  socket.on('data', (chunk: Buffer) => frames.read(chunk));
  socket.on('close', leave);
  socket.on('error', leave);
});

server.on('request', (req, res) => {
  let text = '';
  req.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  req.once('end', () => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Transfer-Encoding': 'chunked' }).flushHeaders();
    const following = subscribers.get(/"conversationId":"([^"]*)"/.exec(text)?.[1] ?? '');
    const subscriber = { socket: req.socket, head: null };
    following?.add(subscriber);
    req.socket.once('close', () => following?.delete(subscriber));
    write(subscriber, new Told({ __typename: 'ConversationCreated' }));
  });
});

const listening = listen(server);

function write({ socket, head }: Subscriber, told: Told): void {
  socket.write(head ? encodeFrame(opcodes.text, head, told.tail) : told.chunk);
}

/** Of the replies that are being spoken. */
let metronome = new Metronome(0);

async function generate(id: string, script: Script): Promise<void> {
  const conversationId = decodeId('Conversation', id) ?? '';
  const messageId = newId();
  const [message, fragment] = [encodeId('Message', messageId), encodeFragmentId(messageId, 0)];
  let offset = 0;
  for await (const index of metronome.beats()) {
    const text = produce(index, script);
    const place = { version: 3, fragment: 0, started: true, units: offset + text.length };
    const event = new Told({
      __typename: 'FragmentDelta',
      cursor: encodeCursor(conversationId, { version: 3, running: place }),
      conversationId: id,
      occurredAt: new Date(),
      messageId: message,
      fragmentId: fragment,
      offset,
      text,
    });
    offset += text.length;
    for (const subscriber of subscribers.get(id) ?? []) write(subscriber, event);
    if (index + 1 === script.tokens) break;
  }
  for (const subscriber of subscribers.get(id) ?? []) write(subscriber, new Told({ __typename: 'MessageCompleted' }));
}

const commands: ServerCommands = {
  address: async () => ({ url: await listening, key: randomUUID() }),
  open({ conversations }) {
    const ids = Array.from({ length: conversations }, () => encodeId('Conversation', newId()));
    for (const id of ids) subscribers.set(id, new Set());
    return Promise.resolve(ids.map((conversationId) => ({ conversationId, after: '' })));
  },
  reply({ conversationIds, script }) {
    metronome = new Metronome(script.perSecond);
    for (const id of conversationIds) void generate(id, script);
    return Promise.resolve();
  },
  setPace({ perSecond, together }) {
    metronome.setPace(perSecond, together);
    return Promise.resolve();
  },
  finish() {
    metronome.end();
    return Promise.resolve();
  },
  usage,
  startProfile,
  stopProfile,
};
obey(commands);
