import type { Queryable } from '../db.ts';
import type { Task } from './task.ts';

export interface AddOptions {
  /**
   * At most one job with this key waits, 1 to 512 characters: a later one takes its place. One that runs already is not interrupted;
   * it will not be tried again.
   */
  key?: string;
  /** Not before. Default: now. */
  runAt?: Date;
  /** With a key: one that waits keeps its time. */
  keepTime?: boolean;
  /** How often it is tried. Default: 25, which takes about three days. */
  maxAttempts?: number;
  /** Jobs of one queue run one after the other, across all servers. Default: none. */
  queue?: string;
  /** Lower ones first. Default: 0. */
  priority?: number;
}

/** Where work is left to be done, by whichever server has time. */
export class JobQueue {
  private readonly db: Queryable;

  constructor(db: Queryable) {
    this.db = db;
  }

  /**
   * Adds a job. With `db`, the client of a transaction, the job exists if and when the transaction commits. The payload is stored as
   * JSON; keep it small, and free of what people wrote.
   */
  async add<P>(task: Task<P>, payload: P, options: AddOptions = {}, db: Queryable = this.db): Promise<void> {
    const { key, runAt, keepTime, maxAttempts, queue, priority } = options;
    await db.query({
      name: 'add-job',
      text: `SELECT FROM graphile_worker.add_job($1, $2::json, queue_name => $3, run_at => $4, max_attempts => $5, job_key => $6,
        priority => $7, job_key_mode => $8)`,
      values: [
        task.name,
        JSON.stringify(payload),
        queue ?? null,
        runAt ?? null,
        maxAttempts ?? null,
        key ?? null,
        priority ?? null,
        keepTime ? 'preserve_run_at' : 'replace',
      ],
    });
  }

  /** Removes the job with this key if it waits. One that runs is not interrupted, but not tried again either. */
  async remove(key: string, db: Queryable = this.db): Promise<void> {
    await db.query({ name: 'remove-job', text: 'SELECT FROM graphile_worker.remove_job($1)', values: [key] });
  }
}
