import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from './generated/prisma/client.ts';

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

/** A pool of at most `size` connections. Connects on first use. */
export function openPool(connectionString: string, size: number, onIdleError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max: size,
    connectionTimeoutMillis: 10_000,
    application_name: 'parley',
  });
  // A connection that dies while idle is replaced on next use.
  pool.on('error', onIdleError);
  // The pool does not listen to a connection that is in use, and between two statements nobody else does.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Opens a pool of at most `poolSize` connections. Connects on first use. */
export function openDatabase(
  connectionString: string,
  poolSize: number,
  onIdleError: (error: Error) => void,
): Database {
  const pool = openPool(connectionString, poolSize, onIdleError);
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

/** Runs `work` in one transaction; rolls back and rethrows when it throws. */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
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
