import { Redis } from 'ioredis';
import type { Logger } from '../logger.ts';
import { Channels } from './channels.ts';
import type { Bus } from './hints.ts';
import { type Link, type LinkEvents, linkedBus } from './linked-bus.ts';

export interface RedisBusOptions {
  /** `redis://` or `rediss://`, with user, password and database number as needed. */
  url: string;
  /** What names of channels and signatures are made with. The same on all servers of an installation. */
  key: string;
  /** The name of both connections in `CLIENT LIST`. Default: `parley-events`. */
  name?: string;
  logger: Logger;
  /** How often a silent connection is probed, in milliseconds. Default 10,000. */
  probeEveryMs?: number;
  /** How long the server may take to answer, in milliseconds. Default 5,000. */
  timeLimitMs?: number;
}

/** Far below the limit of Redis, so that one message does not delay the others. */
const PAYLOAD_BYTES = 65_536;

/** How long closing a connection may wait for the other side, which may have vanished, in milliseconds. */
const DISCONNECT_MS = 500;

/** How many sends may wait for their answer: the connection keeps their order. */
const SENDS_AT_ONCE = 16;

/** What the names of channels begin with, so that an operator sees whose they are. */
const PREFIX = 'parley:';

/** A bus on Redis Pub/Sub, with a channel for each topic. It has two connections of its own, because a subscribed one cannot publish. */
export function redisBus(options: RedisBusOptions): Bus {
  const { url, key, name = 'parley-events', timeLimitMs = 5_000 } = options;
  return linkedBus({
    logger: options.logger,
    channels: new Channels(key),
    payloadBytes: PAYLOAD_BYTES,
    probeEveryMs: options.probeEveryMs,
    open: (events, channels) => openLink({ url, name, timeLimitMs }, events, channels),
  });
}

async function openLink(
  { url, name, timeLimitMs }: { url: string; name: string; timeLimitMs: number },
  events: LinkEvents,
  channels: string[],
): Promise<Link> {
  const publisher = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    keepAlive: 10_000,
    connectTimeout: timeLimitMs,
    commandTimeout: timeLimitMs,
    disconnectTimeout: DISCONNECT_MS,
    connectionName: name,
  });
  const subscriber = publisher.duplicate();
  const both = [publisher, subscriber];
  const closing = Promise.all(both.map(ended));
  const close = async () => {
    for (const connection of both) if (connection.status !== 'end') connection.disconnect();
    await closing;
  };
  let reason: Error | undefined;
  for (const connection of both) {
    connection.on('error', (error) => {
      reason = error;
    });
    connection.on('end', () => {
      events.onLost(reason ?? new Error('the connection to Redis has ended'));
    });
  }
  subscriber.on('message', (channel, payload) => {
    events.onMessage({ channel: channel.slice(PREFIX.length), payload });
  });
  try {
    await Promise.all(both.map((connection) => connection.connect()));
    if (channels.length > 0) await subscriber.subscribe(...channels.map((channel) => PREFIX + channel));
  } catch (error) {
    await close();
    throw reason ?? error;
  }
  return {
    sendsAtOnce: SENDS_AT_ONCE,
    async send(messages) {
      const sent = publisher.pipeline(messages.map(({ channel, payload }) => ['publish', PREFIX + channel, payload]));
      for (const [error] of (await sent.exec()) ?? []) if (error) throw error;
    },
    async listen(channel) {
      await subscriber.subscribe(PREFIX + channel);
    },
    async ignore(channel) {
      await subscriber.unsubscribe(PREFIX + channel);
    },
    async probe() {
      await Promise.all(both.map((connection) => connection.ping()));
    },
    close,
  };
}

function ended(connection: Redis): Promise<void> {
  return new Promise((resolve) => connection.once('end', resolve));
}
