import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { PrismaClient } from './generated/prisma/client.ts';
import { LimitedPool, type PoolLimits, WatchedClient } from './limited-pool.ts';

export type { PrismaClient } from './generated/prisma/client.ts';

/** What runs SQL: the pool for single statements, a client inside a transaction. */
export interface Queryable {
  query<R extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<pg.QueryResult<R>>;
}

export interface Database {
  pool: pg.Pool;
  /** On the same pool; for reads through the schema and for writes without a race. */
  prisma: PrismaClient;
  close(): Promise<void>;
}

/** What pools allow, by what they are for. */
export const poolLimits = {
  /** For what clients ask. */
  requests: { size: 10, statementMs: 5_000, lockMs: 3_000, waitMs: 5_000, counts: true },
  /** For the beginnings and ends of replies, which no request may hold up. */
  replies: { size: 4, statementMs: 5_000, lockMs: 1_000, waitMs: 5_000, keep: true },
  /** For the text of running replies: one statement at a time, and another connection when the first is dead. */
  checkpoints: { size: 2, statementMs: 3_000, lockMs: 1_000, waitMs: 3_000, keep: true },
  /** For a command line, where a person waits and sees. */
  patient: { size: 2, statementMs: 600_000, lockMs: 60_000, waitMs: 10_000 },
} as const satisfies Record<string, PoolLimits>;

/** How long a statement may run that writes or deletes much at once, in milliseconds. */
export const LONG_STATEMENT_MS = 25_000;

/** A pool of connections. Connects on first use. */
export function openPool(
  connectionString: string,
  limits: PoolLimits,
  onIdleError: (error: Error) => void,
): LimitedPool {
  const pool = new LimitedPool(connectionString, limits);
  // A connection that dies while idle is replaced on next use.
  pool.on('error', onIdleError);
  // The pool does not listen to a connection that is in use, and between two statements nobody else does.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Opens a pool and Prisma on it. Connects on first use. */
export function openDatabase(
  connectionString: string,
  limits: PoolLimits,
  onIdleError: (error: Error) => void,
): Database {
  const pool = openPool(connectionString, limits, onIdleError);
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool),
    // Otherwise its errors quote what was to be written.
    errorFormat: 'minimal',
  });
  return {
    pool,
    prisma,
    async close() {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

/** Runs `work` in one transaction; rolls back and rethrows when it throws. `statementMs` is for work that takes longer. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  { statementMs }: { statementMs?: number } = {},
): Promise<T> {
  const isLonger = statementMs !== undefined && pool instanceof LimitedPool && statementMs > pool.limits.statementMs;
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    if (isLonger) await allow(client, statementMs);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

async function allow(client: pg.PoolClient, statementMs: number): Promise<void> {
  if (client instanceof WatchedClient) client.expectWithin(statementMs + 1000);
  await client.query(`SET LOCAL statement_timeout = ${statementMs}`);
}
