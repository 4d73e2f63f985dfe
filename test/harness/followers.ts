import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { applyEvent, emptyView, textOf } from '../../client/fold.ts';
import { followConversation } from '../../client/follow.ts';
import { openSocket, type Subscribe, subscribeSse, subscribeWs, type Target } from './client.ts';
import { conversationEvents, type Event } from './events.ts';
import { mayPass } from './fleet.ts';
import { fold } from './fold.ts';
import type { Random } from './random.ts';

export interface Following {
  conversationId: string;
  after: string;
  /** It leaves when so many replies have ended. */
  replies: number;
  /** Where to connect, asked each time. */
  anyServer: () => Target;
  /** After how many events its connection is dropped. */
  random: Random;
  /** Told of every reply that has ended. */
  onEnded: (replyId: string) => void;
  /** Has it leave early. */
  signal: AbortSignal;
}

/** What a follower was told of a reply, piece by piece. */
export interface Told {
  status: string;
  text: string;
}

/** Somebody who follows a conversation by cursor, on any server, over connections that drop. Returns the replies by id. */
export type Follower = (following: Following) => Promise<Map<string, Told>>;

/** With what frontends import. */
export const followByClient: Follower = async ({ anyServer, random, onEnded, ...following }) => {
  let { url, key } = anyServer();
  const client = createClient({
    url: () => {
      ({ url, key } = anyServer());
      return `${url.replace('http', 'ws')}/graphql`;
    },
    webSocketImpl: WebSocket,
    connectionParams: () => ({ authorization: `Bearer ${key}` }),
    retryAttempts: 0,
  });
  const dropSometimes = sometimes(random, cuttingOff(client));
  const told = new Map<string, Told>();
  let view = emptyView;
  try {
    for await (const event of followConversation(client, following)) {
      if (event.__typename === 'MessageCompleted') {
        // As it was before: the event itself brings all of the message.
        const message = view.messages.find(({ id }) => id === event.message.id);
        told.set(event.message.id, { status: event.message.status, text: message ? textOf(message) : '' });
        onEnded(event.message.id);
      }
      view = applyEvent(view, event);
      if (told.size === following.replies) return told;
      dropSometimes();
    }
  } finally {
    await client.dispose();
  }
  throw new Error('The stream ended before its time.');
};

/** With nothing but the protocol, by WebSocket. */
export const followByWebSocket: Follower = (following) =>
  followByHand(following, (server, variables) => {
    const socket = openSocket(server);
    const subscribe: Subscribe = (target, query, given) => subscribeWs(target, query, given, { socket });
    const stream = conversationEvents(server, variables, subscribe);
    return { stream, drop: cuttingOff(socket), close: () => socket.dispose() };
  });

/** With nothing but the protocol, by server-sent events. */
export const followBySse: Follower = (following) =>
  followByHand(following, (server, variables) => {
    const stream = conversationEvents(server, variables, subscribeSse);
    const close = () => void stream.return();
    return { stream, drop: close, close };
  });

interface Connection {
  stream: AsyncIterable<Event>;
  drop: () => void;
  close: () => unknown;
}

async function followByHand(
  { conversationId, after, replies, anyServer, random, onEnded, signal }: Following,
  connect: (server: Target, variables: { conversationId: string; after: string }) => Connection,
): Promise<Map<string, Told>> {
  const events: Event[] = [];
  let ended = 0;
  while (ended < replies) {
    signal.throwIfAborted();
    const connection = connect(anyServer(), { conversationId, after: events.at(-1)?.cursor ?? after });
    const loss = new AbortController();
    const drop = () => {
      loss.abort();
      connection.drop();
    };
    signal.addEventListener('abort', drop);
    const dropSometimes = sometimes(random, drop);
    try {
      for await (const event of connection.stream) {
        events.push(event);
        if (event.__typename === 'MessageCompleted') {
          onEnded(event.message.id);
          ended += 1;
        }
        if (ended === replies) break;
        dropSometimes();
      }
      if (ended < replies && !loss.signal.aborted) throw new Error('The stream ended before its time.');
    } catch (error) {
      if (!mayPass(error)) throw error;
      await sleep(50);
    } finally {
      signal.removeEventListener('abort', drop);
      await connection.close();
    }
  }
  return new Map([...fold(events)].map(([id, message]) => [id, toldOf(message)]));
}

function toldOf({ status, fragments }: { status: string; fragments: { text: string }[] }): Told {
  return { status, text: fragments.map(({ text }) => text).join('') };
}

/** Cuts a client's connection, without a word to the other side. */
function cuttingOff(client: Client): () => void {
  let connected: WebSocket | undefined;
  client.on('connected', (socket) => {
    if (socket instanceof WebSocket) connected = socket;
  });
  return () => connected?.terminate();
}

/** Does it once in a while when called. */
function sometimes(random: Random, act: () => void): () => void {
  let calls = random.between(1, 150);
  return () => {
    calls -= 1;
    if (calls > 0) return;
    calls = random.between(1, 150);
    act();
  };
}
