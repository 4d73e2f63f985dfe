import { expect } from 'vitest';
import type { Pool } from '../../src/db.ts';

/** A step that a job of the tests has done, and by which process. */
export interface Step {
  number: number;
  pid: number;
  attempt: number;
}

/** What a test sees of the queue. */
export function watchJobs(pool: Pool) {
  const waiting = { timeout: 30_000, interval: 50 };
  /** What waits or runs of the tests, not of the server itself. */
  const jobs = async () =>
    (
      await pool.query<{ key: string | null; attempts: number; locked_by: string | null }>(
        `SELECT key, attempts, locked_by FROM graphile_worker.jobs
          WHERE task_identifier LIKE 'test.%' AND (attempts < max_attempts OR locked_by IS NOT NULL) ORDER BY id`,
      )
    ).rows;
  return {
    waiting,
    jobs,
    nothingLeft: () => expect.poll(jobs, waiting).toEqual([]),
    stepsOf: async (name: string): Promise<Step[]> => {
      const sql = 'SELECT number, pid, attempt FROM step WHERE name = $1 ORDER BY number, attempt';
      return (await pool.query<Step>(sql, [name])).rows;
    },
  };
}
