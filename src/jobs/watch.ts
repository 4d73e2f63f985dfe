import type { Pool } from '../db.ts';
import type { Logger } from '../logger.ts';

/** How often the rows of followed jobs are read, in milliseconds. */
const TICK_MS = 250;

/**
 * Tells followers that the rows of jobs were written: that something has changed, or that a server still works on it, which it says
 * twice a second. One statement reads them all, and only while somebody follows.
 */
export class JobWatch {
  private readonly pool: Pool;
  private readonly logger: Logger;
  private readonly followers = new Map<string, Set<() => void>>();
  private readonly seen = new Map<string, string>();
  private timer: NodeJS.Timeout | null = null;
  private isLooking = false;

  constructor(pool: Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Calls `tell` once at the beginning and after each time that the row is written. Returns a function that stops it. */
  follow(jobId: string, tell: () => void): () => void {
    const group = this.followers.get(jobId) ?? new Set();
    this.followers.set(jobId, group.add(tell));
    this.timer ??= setInterval(() => void this.look(), TICK_MS);
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
        text: 'SELECT id, xmin::text AS version FROM job WHERE id = ANY($1::uuid[])',
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

/** A job now, and after each time that its row is written until it has ended. `read` gives null for one that is gone. */
export async function* followJob<T extends { status: string }>(
  watch: JobWatch,
  jobId: string,
  read: () => Promise<T | null>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  let wake = () => {};
  let isWritten = true;
  const tell = () => {
    isWritten = true;
    wake();
  };
  const stop = watch.follow(jobId, tell);
  signal.addEventListener('abort', tell);
  try {
    while (!signal.aborted) {
      if (isWritten) {
        isWritten = false;
        const job = await read();
        if (!job) return;
        yield job;
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
