import { Socket } from 'node:net';
import pg from 'pg';
import type { Logger } from '../logger.ts';
import { Channels } from './channels.ts';
import type { Bus } from './hints.ts';
import { type Link, type LinkEvents, linkedBus } from './linked-bus.ts';

export interface PostgresBusOptions {
  /** Must be a direct connection: LISTEN does not work through a transaction pooler. */
  connectionString: string;
  /** What names of channels and signatures are made with. The same on all servers of an installation. */
  key: string;
  logger: Logger;
  /** How often a silent connection is probed, in milliseconds. Default 10,000. */
  probeEveryMs?: number;
  /** How long the server may take to answer, in milliseconds. Default 5,000. */
  timeLimitMs?: number;
}

/** PostgreSQL refuses payloads of 8,000 bytes or more. */
const PAYLOAD_BYTES = 7_999;

/** How many channels all conversations and organizations share: each server session keeps a list of those it listens to. */
const PLACES = 128;

/**
 * How long a channel is listened to after nobody wants it, in milliseconds. There are so few that the next conversation is soon
 * followed over one of them.
 */
const LINGER_MS = 30_000;

/** The name of the connection in `pg_stat_activity`. */
const APPLICATION_NAME = 'parley-events';

/**
 * A bus on LISTEN/NOTIFY of one database. It has a connection of its own for both directions, so that sending keeps its order
 * and neither direction waits for the pool.
 */
export function postgresBus(options: PostgresBusOptions): Bus {
  const { connectionString, key, logger, probeEveryMs, timeLimitMs = 5_000 } = options;
  return linkedBus({
    logger,
    channels: new Channels(key, PLACES),
    payloadBytes: PAYLOAD_BYTES,
    probeEveryMs,
    open: (events, channels) => openLink(connectionString, timeLimitMs, events, channels),
  });
}

async function openLink(
  connectionString: string,
  timeLimitMs: number,
  events: LinkEvents,
  channels: string[],
): Promise<Link> {
  const socket = new Socket();
  const client = new pg.Client({
    connectionString,
    stream: () => socket,
    application_name: APPLICATION_NAME,
    keepAlive: true,
    connectionTimeoutMillis: timeLimitMs,
    query_timeout: timeLimitMs,
  });
  const lingering = new Map<string, NodeJS.Timeout>();
  /** `end` waits for the other side, which may have vanished. */
  const close = async () => {
    for (const timer of lingering.values()) clearTimeout(timer);
    lingering.clear();
    const giveUp = setTimeout(() => socket.destroy(), timeLimitMs);
    await client.end();
    clearTimeout(giveUp);
  };
  client.on('error', events.onLost);
  client.on('end', () => {
    events.onLost(new Error('the connection to PostgreSQL has ended'));
  });
  client.on('notification', ({ channel, payload, processId }) => {
    // What this connection has sent comes back to it.
    const isOwn = processId === Reflect.get(client, 'processID');
    if (payload && !isOwn) events.onMessage({ channel, payload });
  });
  try {
    await client.connect();
    if (channels.length > 0) await client.query(channels.map((channel) => `LISTEN "${channel}"`).join('; '));
  } catch (error) {
    await close();
    throw error;
  }
  let last = Promise.resolve();
  /** One statement at a time, in the order of the calls. */
  const query = (statement: pg.QueryConfig | string): Promise<void> => {
    const done = last.then(async () => {
      await client.query(statement);
    });
    last = done.catch(() => undefined);
    return done;
  };
  return {
    // Statements of a connection run one after the other.
    sendsAtOnce: 1,
    // PostgreSQL merges identical payloads of one transaction, which is harmless for hints.
    send: (messages) =>
      query({
        name: 'send-hints',
        text: 'SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS message (channel, payload)',
        values: [messages.map(({ channel }) => channel), messages.map(({ payload }) => payload)],
      }),
    listen: (channel) => {
      const timer = lingering.get(channel);
      if (!timer) return query(`LISTEN "${channel}"`);
      clearTimeout(timer);
      lingering.delete(channel);
      // Its LISTEN may still be under way, if whoever joined has left again at once.
      return last;
    },
    ignore: (channel) => {
      const unlisten = () => {
        lingering.delete(channel);
        query(`UNLISTEN "${channel}"`).catch(events.onLost);
      };
      lingering.set(channel, setTimeout(unlisten, LINGER_MS));
      return Promise.resolve();
    },
    probe: () => query('SELECT 1'),
    close,
  };
}
