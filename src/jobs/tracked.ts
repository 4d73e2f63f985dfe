import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { JobKind } from '../generated/prisma/enums.ts';
import { inTransaction, type Pool } from '../db.ts';
import { UserError } from '../errors.ts';
import type { IdType, NewId } from '../ids.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Logger } from '../logger.ts';
import type { JobQueue } from './queue.ts';
import { type Handler, handle, type JobContext, type Task } from './task.ts';

/** How many jobs of one organization may wait or run. */
export const MAX_UNFINISHED = 20;
/** How often a running job tells how far it has come, and asks whether it is still wanted, in milliseconds. */
const BEAT_MS = 500;
/** How often the log tells of a running job, in milliseconds. */
const TELL_MS = 10_000;

/** Too many jobs of the organization wait or run. */
export class TooManyJobsError extends UserError {
  override name = 'TooManyJobsError';

  constructor() {
    super(`${MAX_UNFINISHED} jobs of the organization wait or run; no more are taken until one has ended.`);
  }
}

/** A job fails at once, since it would each time. The message is shown to whoever asked for it. */
export class HopelessError extends Error {
  override name = 'HopelessError';
}

/** A job that somebody follows, as its code sees it. */
export interface TrackedJob {
  id: string;
  organizationId: string;
  input: JsonObject;
  /** What was saved last, also by another server. */
  state: JsonObject;
  /** The fencing token of this run. Files that two runs may write at once have it in their names. */
  claim: string;
}

export interface TrackedContext extends JobContext {
  /** Tells how far it has come, from 0 to 1. Costs nothing: it is stored twice a second. */
  progress(fraction: number): void;
  /** Stores how far it has come, for whoever goes on. Throws if the job is cancelled or another server has it. */
  save(state: JsonObject): Promise<void>;
}

export interface TrackedKind {
  /** Resolves with what is saved in the end. */
  run(job: TrackedJob, context: TrackedContext): Promise<JsonObject>;
  /** Removes what a job has made that failed or was cancelled. May be called again. */
  discard(job: Pick<TrackedJob, 'id'>): Promise<void>;
  /** How long what it has made is kept, in seconds. */
  keepSeconds: number;
}

export const trackedTask: Task<{ id: string }> = {
  name: 'job.run',
  lane: 'long',
  read(payload) {
    if (isJsonObject(payload) && typeof payload.id === 'string') return { id: payload.id };
    throw new Error('The payload of a job names none.');
  },
};

/** The public types of jobs, by their kinds. */
export const typeOfKind = { EXPORT: 'Export', ERASURE: 'Erasure' } as const satisfies Record<JobKind, IdType>;
export const jobTypes: readonly IdType[] = Object.values(typeOfKind);

export const jobKey = (id: string) => `job:${id}`;

/** How often a job is tried. What must not be left half done is tried for days. */
const maxAttempts = { EXPORT: 6, ERASURE: 25 } as const satisfies Record<JobKind, number>;

/** Among the jobs of one organization: people who are to be erased wait for no export that has not begun. */
const priority = { EXPORT: 0, ERASURE: -1 } as const satisfies Record<JobKind, number>;

/**
 * Stores what was asked for and leaves it to the queue, in one transaction, and so what `prepare` writes. Jobs of one organization
 * run one after the other.
 */
export async function startJob(
  { pool, jobs, newId }: { pool: Pool; jobs: JobQueue; newId: NewId },
  { organizationId, kind, input }: { organizationId: string; kind: JobKind; input: JsonObject },
  prepare: (db: pg.PoolClient, id: string) => Promise<void> = async () => undefined,
): Promise<string> {
  const id = newId();
  await inTransaction(pool, async (client) => {
    // In a statement of its own, so that the next one sees what others have added meanwhile.
    await client.query({
      text: 'SELECT FROM organization WHERE id = $1 FOR NO KEY UPDATE',
      values: [organizationId],
    });
    const { rowCount } = await client.query({
      text: `INSERT INTO job (id, organization_id, kind, input, secret)
        SELECT $1, $2, $3::"JobKind", $4, $5
        WHERE (SELECT count(*) FROM job WHERE organization_id = $2 AND status IN ('QUEUED', 'RUNNING')) < $6`,
      values: [id, organizationId, kind, JSON.stringify(input), randomBytes(32).toString('hex'), MAX_UNFINISHED],
    });
    if (!rowCount) throw new TooManyJobsError();
    const options = {
      key: jobKey(id),
      queue: `jobs of ${organizationId}`,
      maxAttempts: maxAttempts[kind],
      priority: priority[kind],
    };
    await prepare(client, id);
    await jobs.add(trackedTask, { id }, options, client);
  });
  return id;
}

/** Runs tracked jobs by their kind. */
export function trackedHandler(
  { pool, newId, logger }: { pool: Pool; newId: NewId; logger: Logger },
  kinds: Record<JobKind, TrackedKind>,
): Handler {
  return handle(trackedTask, async ({ id }, context) => {
    const claim = newId();
    const { rows } = await pool.query<TrackedJob & { kind: JobKind }>({
      text: `UPDATE job SET status = 'RUNNING', claim = $2 WHERE id = $1 AND status IN ('QUEUED', 'RUNNING')
        RETURNING id, organization_id AS "organizationId", kind, input, state, claim`,
      values: [id, claim],
    });
    const job = rows[0];
    if (!job) return;
    const kind = kinds[job.kind];
    const owned = new Ownership(pool, id, claim, context.signal);
    const what = { kind: job.kind, jobId: id };
    const telling = setInterval(() => logger.info(what, `a job is at ${owned.percent} %`), TELL_MS);
    try {
      const state = await kind.run(job, {
        ...context,
        signal: owned.signal,
        progress: (fraction) => owned.tell(fraction),
        save: (saved) => owned.set('state = $3', JSON.stringify(saved)),
      });
      await owned.set(
        `status = 'DONE', progress = 1, finished_at = now(), state = $3, expires_at = now() + $4 * interval '1 second'`,
        JSON.stringify(state),
        kind.keepSeconds,
      );
      logger.info(what, 'a job is done');
    } catch (error) {
      if (owned.isLost) {
        const { rows: found } = await pool.query<{ status: string }>('SELECT status FROM job WHERE id = $1', [id]);
        // Another run, which it may belong to, keeps what there is.
        if (found[0]?.status === 'CANCELLED') await kind.discard(job);
        return;
      }
      const isHopeless = error instanceof HopelessError;
      if (!isHopeless && (context.signal.aborted || !context.isLast)) throw error;
      logger.error({ err: error, jobId: id }, 'a job failed for good');
      await owned.set(
        `status = 'FAILED', finished_at = now(), expires_at = now(), error_detail = $3`,
        isHopeless ? error.message : 'An internal error. Try again later.',
      );
      await kind.discard(job);
    } finally {
      clearInterval(telling);
      owned.end();
    }
  });
}

/** The right of one run to write to the row of its job. */
class Ownership {
  readonly signal: AbortSignal;
  /** Whether the job was cancelled, or belongs to another run. */
  isLost = false;
  private readonly pool: Pool;
  private readonly key: [id: string, claim: string];
  private readonly lost = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private progress = 0;

  constructor(pool: Pool, id: string, claim: string, signal: AbortSignal) {
    this.pool = pool;
    this.key = [id, claim];
    this.signal = AbortSignal.any([signal, this.lost.signal]);
    this.timer = setInterval(() => {
      // A beat that fails is made up for by the next one.
      this.set('progress = greatest(progress, $3)', this.progress).catch(() => undefined);
    }, BEAT_MS);
  }

  get percent(): number {
    return Math.floor(this.progress * 100);
  }

  tell(fraction: number): void {
    this.progress = Math.min(1, Math.max(this.progress, fraction));
  }

  /** Writes if the row is still this run's. Throws if it is not. */
  async set(assignments: string, ...values: (string | number)[]): Promise<void> {
    const { rowCount } = await this.pool.query({
      text: `UPDATE job SET ${assignments} WHERE id = $1 AND claim = $2 AND status = 'RUNNING'`,
      values: [...this.key, ...values],
    });
    if (rowCount) return;
    this.isLost = true;
    const error = new Error('The job was cancelled, or another server has it.');
    this.lost.abort(error);
    throw error;
  }

  end(): void {
    clearInterval(this.timer);
  }
}
