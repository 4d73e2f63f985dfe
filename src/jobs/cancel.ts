import type { Pool } from '../db.ts';
import type { Caller } from '../access/caller.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import { decodeAnyId } from '../ids.ts';
import type { JobKind } from '../generated/prisma/enums.ts';
import type { JobQueue } from './queue.ts';
import { jobKey, jobTypes } from './tracked.ts';

/** Cancels a job that waits or runs; one that runs ends within a second. One that has ended stays as it is. Half of an erasure cannot be undone: it is refused. */
export async function cancelJob(
  { pool, jobs }: { pool: Pool; jobs: JobQueue },
  { organizationId }: Pick<Caller, 'organizationId'>,
  input: { jobId: string },
): Promise<{ jobId: string }> {
  const jobId = decodeJobId(input.jobId);
  if (!jobId) throw new NotFoundError(['jobId']);
  const { rows } = await pool.query<{ kind: JobKind; cancelled: boolean }>({
    name: 'cancel-job',
    text: `WITH found AS (SELECT id, kind FROM job WHERE id = $1 AND organization_id = $2), cancelled AS (
        UPDATE job SET status = 'CANCELLED', finished_at = now(), expires_at = now()
        FROM found WHERE job.id = found.id AND status IN ('QUEUED', 'RUNNING') AND found.kind <> 'ERASURE' RETURNING job.id
      ) SELECT kind, EXISTS (SELECT FROM cancelled) AS cancelled FROM found`,
    values: [jobId, organizationId],
  });
  if (!rows[0]) throw new NotFoundError(['jobId']);
  if (rows[0].kind === 'ERASURE') {
    throw new InvalidInputError([{ path: ['jobId'], code: 'NOT_ALLOWED', detail: 'An erasure cannot be cancelled.' }]);
  }
  if (rows[0].cancelled) await jobs.remove(jobKey(jobId));
  return { jobId };
}

/** The row id of the public id of a job of any kind. */
export function decodeJobId(id: string): string | null {
  const decoded = decodeAnyId(id);
  return decoded && jobTypes.some((type) => type === decoded.type) ? decoded.uuid : null;
}
