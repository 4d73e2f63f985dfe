import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { isAlive } from './lock-file.ts';

/** The key of the advisory lock, in database `postgres`, that the cluster's owner holds: "PARLEY" in ASCII. */
const OWNER_LOCK = String(0x5041524c4559);

const NAME_PREFIX = 'parley-owner-';

/** Long enough for PostgreSQL to notice that an owner was killed. */
const RELEASE_TIMEOUT_MS = 5_000;

/** The application name of the owner's connection. It tells other processes who owns the cluster. */
export const OWNER_NAME = `${NAME_PREFIX}${process.pid}`;

/**
 * Takes ownership of the cluster for as long as the connection lasts, and so not longer than this process.
 * @returns the process id of another owner, or `unknown`. Undefined if the cluster is owned now.
 */
export async function takeOwnership(client: pg.Client, signal: AbortSignal): Promise<undefined | number | 'unknown'> {
  const deadline = Date.now() + RELEASE_TIMEOUT_MS;
  for (;;) {
    const lock = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [OWNER_LOCK]);
    if (lock.rows[0]?.taken) return undefined;
    const owner = await findOwner(client);
    if (Date.now() > deadline || (owner !== undefined && isAlive(owner))) return owner ?? 'unknown';
    await delay(25, undefined, { signal });
  }
}

async function findOwner(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT application_name AS name
     FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = $1`,
    [OWNER_LOCK],
  );
  const name = rows[0]?.name;
  return name?.startsWith(NAME_PREFIX) ? Number(name.slice(NAME_PREFIX.length)) : undefined;
}
