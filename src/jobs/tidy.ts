import type { Pool } from '../db.ts';
import type { JobKind } from '../generated/prisma/enums.ts';
import type { Logger } from '../logger.ts';
import type { JobQueue } from './queue.ts';
import { type Handler, handle, type Task } from './task.ts';
import { jobKey, type TrackedKind } from './tracked.ts';

/** How often jobs are looked after, in milliseconds. */
const EVERY_MS = 600_000;
/** How many expired jobs are read at a time. */
const BATCH = 100;

export const tidyTask: Task<null> = { name: 'job.tidy', lane: 'quick', read: () => null };

/** Has jobs looked after by and by, by one server at a time. `soon`: now, too. */
export function scheduleTidying(jobs: JobQueue, soon = false): Promise<void> {
  const runAt = new Date(Date.now() + (soon ? 0 : EVERY_MS));
  return jobs.add(tidyTask, null, { key: tidyTask.name, runAt, keepTime: soon });
}

/** Ends jobs that nobody runs any more, removes what has expired, and forgets what failed in the queue long ago. */
export function tidyHandler(
  { pool, jobs, logger }: { pool: Pool; jobs: JobQueue; logger: Logger },
  kinds: Record<JobKind, TrackedKind>,
): Handler {
  return handle(tidyTask, async (_payload, { signal }) => {
    await scheduleTidying(jobs);
    await pool.query({
      text: `UPDATE job SET status = 'FAILED', finished_at = now(), expires_at = now(),
          error_detail = 'The servers that ran it stopped working, each time it was tried.'
        WHERE status IN ('QUEUED', 'RUNNING') AND NOT EXISTS (
          SELECT FROM graphile_worker.jobs q
          WHERE q.key = $1 || job.id AND (q.attempts < q.max_attempts OR q.locked_at IS NOT NULL))`,
      values: [jobKey('')],
    });
    for await (const job of expiredJobs(pool, Object.keys(kinds))) {
      signal.throwIfAborted();
      try {
        await kinds[job.kind].discard(job);
        await pool.query(`UPDATE job SET expires_at = NULL, state = state || '{"parts": []}' WHERE id = $1`, [job.id]);
      } catch (error) {
        logger.error({ err: error, jobId: job.id }, 'could not remove what a job has made; trying again later');
      }
    }
    await pool.query(`SELECT FROM graphile_worker.complete_jobs(ARRAY(
      SELECT id FROM graphile_worker.jobs
      WHERE attempts >= max_attempts AND locked_at IS NULL AND updated_at < now() - interval '7 days' LIMIT 10000))`);
  });
}

interface Expired {
  id: string;
  kind: JobKind;
  expiresAt: Date;
}

/** What has expired, that which did so first at first. Kinds that only the next release knows are left to it. */
async function* expiredJobs(pool: Pool, kinds: readonly string[]): AsyncGenerator<Expired, void, undefined> {
  for (let last: Expired | undefined, isMore = true; isMore;) {
    const { rows } = await pool.query<Expired>({
      text: `SELECT id, kind, expires_at AS "expiresAt" FROM job
        WHERE expires_at <= now() AND status NOT IN ('QUEUED', 'RUNNING') AND kind::text = ANY($1)
          AND ($2::timestamptz IS NULL OR (expires_at, id) > ($2, $3::uuid))
        ORDER BY expires_at, id LIMIT ${BATCH}`,
      values: [kinds, last?.expiresAt ?? null, last?.id ?? null],
    });
    yield* rows;
    last = rows.at(-1);
    isMore = rows.length === BATCH;
  }
}
