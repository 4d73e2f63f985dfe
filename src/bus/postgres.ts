import { Socket } from 'node:net';
import pg from 'pg';
import type { Logger } from '../logger.ts';
import type { Bus } from './hints.ts';
import { type Link, type LinkEvents, linkedBus } from './linked-bus.ts';

export interface PostgresBusOptions {
  /** Must be a direct connection: LISTEN does not work through a transaction pooler. */
  connectionString: string;
  logger: Logger;
  /** How often a silent connection is probed, in milliseconds. Default 10,000. */
  probeEveryMs?: number;
  /** How long the server may take to answer, in milliseconds. Default 5,000. */
  timeLimitMs?: number;
}

/** PostgreSQL refuses payloads of 8,000 bytes or more. */
const PAYLOAD_BYTES = 7_999;

const CHANNEL = 'parley';

/** The name of the connection in `pg_stat_activity`. */
const APPLICATION_NAME = 'parley-events';

/**
 * A bus on LISTEN/NOTIFY of one database. It has a connection of its own for both directions, so that sending keeps its order
 * and neither direction waits for the pool.
 */
export function postgresBus({ connectionString, logger, probeEveryMs, timeLimitMs = 5_000 }: PostgresBusOptions): Bus {
  return linkedBus({
    logger,
    payloadBytes: PAYLOAD_BYTES,
    probeEveryMs,
    open: (events) => openLink(connectionString, timeLimitMs, events),
  });
}

async function openLink(connectionString: string, timeLimitMs: number, events: LinkEvents): Promise<Link> {
  const socket = new Socket();
  const client = new pg.Client({
    connectionString,
    stream: () => socket,
    application_name: APPLICATION_NAME,
    keepAlive: true,
    connectionTimeoutMillis: timeLimitMs,
    query_timeout: timeLimitMs,
  });
  /** `end` waits for the other side, which may have vanished. */
  const close = async () => {
    const giveUp = setTimeout(() => socket.destroy(), timeLimitMs);
    await client.end();
    clearTimeout(giveUp);
  };
  client.on('error', events.onLost);
  client.on('end', () => {
    events.onLost(new Error('the connection to PostgreSQL has ended'));
  });
  client.on('notification', ({ payload }) => {
    if (payload) events.onPayload(payload);
  });
  try {
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async send(payloads) {
      // PostgreSQL merges identical payloads of one transaction, which is harmless for hints.
      await client.query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload', [CHANNEL, payloads]);
    },
    async probe() {
      await client.query('SELECT 1');
    },
    close,
  };
}
