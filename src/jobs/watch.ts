import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import type { Logger } from '../logger.ts';
import { outsideOperations } from '../work-clock.ts';

/** How often the rows of followed jobs are read, in milliseconds. */
const TICK_MS = 500;

/** Tells followers that the rows of jobs have changed. One statement reads them all, and only while somebody follows. */
export class JobWatch {
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private readonly followers = new Map<string, Set<() => void>>();
  private readonly seen = new Map<string, string>();
  private timer: NodeJS.Timeout | null = null;
  private isLooking = false;

  constructor(pool: pg.Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Calls `tell` after each change. Returns a function that stops it. */
  follow(jobId: string, tell: () => void): () => void {
    const group = this.followers.get(jobId) ?? new Set();
    this.followers.set(jobId, group.add(tell));
    this.timer ??= outsideOperations(() => setInterval(() => void this.look(), TICK_MS));
    return () => {
      group.delete(tell);
      if (group.size > 0 || this.followers.get(jobId) !== group) return;
      this.followers.delete(jobId);
      this.seen.delete(jobId);
      if (this.followers.size === 0) this.close();
    };
  }

  close(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      const { rows } = await this.pool.query<{ id: string; version: string }>({
        name: 'watch-jobs',
        // Not by xmin: a job that runs writes its row twice a second, mostly without a change.
        text: `SELECT id, md5(ROW(status, progress, state, error_detail, finished_at, expires_at)::text) AS version
          FROM job WHERE id = ANY($1::uuid[])`,
        values: [[...this.followers.keys()]],
      });
      for (const { id, version } of rows) {
        if (this.seen.get(id) === version) continue;
        this.seen.set(id, version);
        for (const tell of this.followers.get(id) ?? []) tell();
      }
    } catch (error) {
      this.logger.warn({ err: error }, 'could not read the jobs that are followed; trying again');
    } finally {
      this.isLooking = false;
    }
  }
}

const ended: readonly string[] = ['DONE', 'FAILED', 'CANCELLED'];

/** A job now, and after each change until it has ended. `read` gives null for one that is gone. */
export async function* followJob<T extends { status: string }>(
  watch: JobWatch,
  jobId: string,
  read: () => Promise<T | null>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  let wake = () => {};
  let hasChanged = true;
  let last: T | undefined;
  const tell = () => {
    hasChanged = true;
    wake();
  };
  const stop = watch.follow(jobId, tell);
  signal.addEventListener('abort', tell);
  try {
    while (!signal.aborted) {
      if (hasChanged) {
        hasChanged = false;
        const job = await read();
        if (!job) return;
        if (!isDeepStrictEqual(job, last)) yield job;
        last = job;
        if (ended.includes(job.status)) return;
        continue;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    signal.removeEventListener('abort', tell);
    stop();
  }
}
