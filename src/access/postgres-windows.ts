import pg from 'pg';
import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';
import { type Reserved, STORE_MS, WINDOW_MS, type WindowStore } from './rate-windows.ts';

/** How often ended windows are deleted, in milliseconds. */
const SWEEP_MS = 60_000;

/** How many windows are deleted at a time. */
const SWEPT = 10_000;

/**
 * Keeps rate limits in an unlogged table, so a crash of the database forgets the last minute. Uses one connection
 * of its own, so that it does not wait for the pool.
 */
export function postgresWindows(options: { connectionString: string; logger: Logger }): WindowStore {
  const pool = new pg.Pool({
    connectionString: options.connectionString,
    max: 1,
    connectionTimeoutMillis: STORE_MS,
    query_timeout: STORE_MS,
    keepAlive: true,
    application_name: 'parley-limits',
  });
  pool.on('error', (error) => options.logger.debug({ err: error }, 'lost the connection of the rate limits'));
  pool.on('connect', (client) => client.on('error', () => undefined));
  let closed = false;
  let sweeping: Promise<void> | undefined;
  const timer = setInterval(() => {
    sweeping ??= deleteEnded(pool, () => closed)
      .catch((error: unknown) => options.logger.debug({ err: error }, 'could not delete old rate limits'))
      .finally(() => {
        sweeping = undefined;
      });
  }, SWEEP_MS);

  return {
    async reserve(asked) {
      const { rows } = await pool.query<Reserved & { key: string }>({
        name: 'reserve',
        text: reserve,
        values: [
          asked.map(({ key }) => key),
          asked.map(({ limit }) => limit),
          asked.map(({ atLeast }) => atLeast),
          asked.map(({ atMost }) => atMost),
        ],
      });
      return new Map(rows.map(({ key, ...reserved }) => [key, reserved]));
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await sweeping;
      await pool.end();
    },
  };
}

/** Deletes all windows that have ended, a batch after the other, so that requests for the same connection come in between. */
export async function deleteEnded(db: Queryable, isClosed: () => boolean): Promise<void> {
  while (!isClosed()) {
    const { rowCount } = await db.query({ name: 'sweep-rate-windows', text: sweep, values: [SWEPT] });
    if ((rowCount ?? 0) < SWEPT) return;
  }
}

/**
 * A locked row is skipped and missing from the result. Only for a row that is being inserted just now does
 * the statement wait, and only briefly.
 */
const reserve = /* sql */ `
WITH bounded AS MATERIALIZED (
  SELECT set_config('lock_timeout', '${STORE_MS / 2}ms', true)
), asked AS (
  SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::int[]) AS asked (key, points, at_least, at_most)
), held AS MATERIALIZED (
  SELECT key, spent, ends_at FROM rate_window WHERE key IN (SELECT key FROM asked) ORDER BY key FOR UPDATE SKIP LOCKED
), free AS (
  SELECT asked.*, held.key IS NOT NULL AS is_held, ends_at > clock_timestamp() AS goes_on, held.spent, held.ends_at
  FROM bounded, asked LEFT JOIN held USING (key)
  WHERE held.key IS NOT NULL OR NOT EXISTS (SELECT FROM rate_window WHERE rate_window.key = asked.key)
), counted AS (
  SELECT key, is_held, at_least, at_most, CASE WHEN goes_on THEN spent ELSE 0 END AS spent,
    CASE WHEN goes_on THEN greatest(0, points - spent) ELSE points END AS available,
    CASE WHEN goes_on THEN ends_at ELSE clock_timestamp() + interval '${WINDOW_MS}ms' END AS ends_at
  FROM free
), granted AS MATERIALIZED (
  SELECT *, CASE WHEN available >= at_least THEN least(at_most, available) ELSE 0 END AS granted FROM counted
), updated AS (
  UPDATE rate_window SET spent = granted.spent + granted.granted, ends_at = granted.ends_at
  FROM granted WHERE rate_window.key = granted.key AND granted.is_held AND granted.granted > 0
  RETURNING rate_window.key
), inserted AS (
  INSERT INTO rate_window (key, spent, ends_at)
  SELECT key, granted, ends_at FROM granted WHERE NOT is_held AND granted > 0 ORDER BY key
  ON CONFLICT DO NOTHING
  RETURNING key
)
SELECT key, granted, available - granted AS left,
  greatest(0, extract(epoch FROM ends_at - clock_timestamp()) * 1000)::float8 AS "resetMs"
FROM granted
WHERE granted = 0 OR key IN (SELECT key FROM updated UNION ALL SELECT key FROM inserted)`;

const sweep = /* sql */ `
DELETE FROM rate_window WHERE key IN (
  SELECT key FROM rate_window WHERE ends_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)`;
