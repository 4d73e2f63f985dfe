import { PrismaPg } from '@prisma/adapter-pg';
import type pg from 'pg';
import { PrismaClient } from './generated/prisma/client.ts';
import { LimitedPool, type PoolLimits, WatchedClient } from './limited-pool.ts';

export type { PrismaClient } from './generated/prisma/client.ts';

/** The companions of messages may be large: they are undefined in its rows, though its type does not say so. */
const omit = { message: { canvas: true, contentPayload: true, queryMetadata: true, stateAfter: true } } as const;

/** Runs SQL: a pool for single statements, or a client inside a transaction. */
export interface Queryable {
  query<R extends pg.QueryResultRow>(query: pg.QueryConfig): Promise<pg.QueryResult<R>>;
}

/** Connections to the database: of this server, or as one operation may use them. */
export interface Pool {
  query<R extends pg.QueryResultRow>(query: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult<R>>;
  /** The connection must be released. */
  connect(): Promise<pg.PoolClient>;
  /** Left out: those of PostgreSQL. */
  readonly limits?: PoolLimits;
}

export interface Database {
  pool: LimitedPool;
  /** Prisma on the same pool, for reads through the schema and writes without races. */
  prisma: PrismaClient;
  close(): Promise<void>;
}

/** The limits of each pool. */
export const poolLimits = {
  /** For client requests. */
  requests: { size: 10, statementMs: 5_000, lockMs: 3_000, waitMs: 5_000 },
  /** For starting and ending replies, which requests must not delay. */
  replies: { size: 4, statementMs: 5_000, lockMs: 1_000, waitMs: 5_000, keep: true },
  /** For the text of running replies: one statement at a time, and a second connection in case the first is dead. */
  checkpoints: { size: 2, statementMs: 3_000, lockMs: 1_000, waitMs: 3_000, keep: true },
  /** For taking jobs from the queue: a connection that listens for each lane, and those that take and settle them. */
  queue: { size: 7, statementMs: 5_000, lockMs: 3_000, waitMs: 5_000 },
  /** For what jobs do, which may read and change a lot. */
  jobs: { size: 4, statementMs: 30_000, lockMs: 5_000, waitMs: 30_000 },
  /** For command-line programs, where a person can wait. */
  patient: { size: 2, statementMs: 600_000, lockMs: 60_000, waitMs: 10_000 },
} as const satisfies Record<string, PoolLimits>;

/** How long a statement that writes or deletes a lot may run, in milliseconds. */
export const LONG_STATEMENT_MS = 25_000;

/** A pool of connections. Connects on first use. */
export function openPool(
  connectionString: string,
  limits: PoolLimits,
  onIdleError: (error: Error) => void,
  Pool: new (connectionString: string, limits: PoolLimits) => LimitedPool = LimitedPool,
): LimitedPool {
  const pool = new Pool(connectionString, limits);
  // A connection that dies while idle is replaced on next use. After `end`, which does not wait until all are closed, it was
  // going to be closed anyway.
  pool.on('error', (error) => {
    if (!pool.ending) onIdleError(error);
  });
  // Nobody else listens to a connection in use between two statements, and an unhandled error would end the process.
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
    // Otherwise errors quote the data that was to be written.
    errorFormat: 'minimal',
    omit,
  }) as PrismaClient;
  return {
    pool,
    prisma,
    async close() {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

/** Runs `work` in one transaction. Rolls back and rethrows if it throws. Give `statementMs` for statements that take longer. */
export async function inTransaction<T>(
  pool: Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  { statementMs }: { statementMs?: number } = {},
): Promise<T> {
  const isLonger = statementMs !== undefined && pool.limits !== undefined && statementMs > pool.limits.statementMs;
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
