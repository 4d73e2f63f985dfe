import { Redis } from 'ioredis';
import type { Logger } from '../logger.ts';
import type { Bus } from './hints.ts';
import { type Link, type LinkEvents, linkedBus } from './linked-bus.ts';

export interface RedisBusOptions {
  /** `redis://` or `rediss://`, with user, password and database number as needed. */
  url: string;
  /** Separates installations on one Redis. Default: `parley:` and the database number, which Pub/Sub itself ignores. */
  channel?: string | undefined;
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

/** A bus on Redis Pub/Sub. It has two connections of its own, because a subscribed one cannot publish. */
export function redisBus(options: RedisBusOptions): Bus {
  const { url, channel = `parley:${new URL(url).pathname.slice(1) || '0'}`, timeLimitMs = 5_000 } = options;
  return linkedBus({
    logger: options.logger,
    payloadBytes: PAYLOAD_BYTES,
    probeEveryMs: options.probeEveryMs,
    open: (events) => openLink(url, channel, timeLimitMs, events),
  });
}

async function openLink(url: string, channel: string, timeLimitMs: number, events: LinkEvents): Promise<Link> {
  const publisher = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    keepAlive: 10_000,
    connectTimeout: timeLimitMs,
    commandTimeout: timeLimitMs,
    disconnectTimeout: DISCONNECT_MS,
    connectionName: channel,
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
  subscriber.on('message', (_channel, payload) => {
    events.onPayload(payload);
  });
  try {
    await Promise.all(both.map((connection) => connection.connect()));
    await subscriber.subscribe(channel);
  } catch (error) {
    await close();
    throw reason ?? error;
  }
  return {
    async send(payloads) {
      await Promise.all(payloads.map((payload) => publisher.publish(channel, payload)));
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
