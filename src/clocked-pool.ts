import type pg from 'pg';
import type { Pool } from './db.ts';
import { type PoolLimits, WatchedClient } from './limited-pool.ts';
import type { WorkClock } from './work-clock.ts';

/**
 * The connections of a pool as one operation may use them: when its time is over it begins no statement, and what it does on a
 * connection of its own is broken off. A single statement that runs then ends by the limit of the pool.
 */
export class ClockedPool implements Pool {
  private readonly pool: Pool;
  private readonly clock: WorkClock;

  constructor(pool: Pool, clock: WorkClock) {
    this.pool = pool;
    this.clock = clock;
  }

  get limits(): PoolLimits | undefined {
    return this.pool.limits;
  }

  query<R extends pg.QueryResultRow>(query: string | pg.QueryConfig, values?: unknown[]): Promise<pg.QueryResult<R>> {
    const { fault } = this.clock;
    return fault ? Promise.reject(fault) : this.pool.query<R>(query, values);
  }

  async connect(): Promise<pg.PoolClient> {
    this.clock.check();
    const client = await this.pool.connect();
    if (client instanceof WatchedClient) client.endWith(this.clock);
    return client;
  }
}
