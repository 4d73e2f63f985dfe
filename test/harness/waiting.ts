import { expect } from 'vitest';
import type { Pool } from '../../src/db.ts';

/** Resolves once this many statements of the database wait for a lock. */
export async function untilWaiting(pool: Pool, statements: number): Promise<void> {
  const count = async () => {
    const { rows } = await pool.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows[0]?.waiting;
  };
  await expect.poll(count, { timeout: 10_000 }).toBe(statements);
}
