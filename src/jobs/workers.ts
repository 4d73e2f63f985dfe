import { setTimeout as sleep } from 'node:timers/promises';
import type { JobHelpers, TaskList } from 'graphile-worker';
import type pg from 'pg';
import type { Lease } from '../generation/lease.ts';
import type { Logger } from '../logger.ts';
import type { Shutdown } from '../shutdown-deadline.ts';
import { InterruptedError, LaneWorkers } from './lane-workers.ts';
import { type Handler, type Lane, lanes } from './task.ts';

/** How many jobs of each lane one server runs at a time. */
const concurrency: Record<Lane, number> = { quick: 4, post: 4, mail: 4, long: 2 };

/** How long a worker waits before it tries again to be known, in milliseconds. */
const RETRY_MS = 250;

export interface JobWorkersOptions {
  /** For graphile-worker, which keeps a connection for each lane. */
  queuePool: pg.Pool;
  /** For statements of its own. */
  pool: pg.Pool;
  lease: Pick<Lease, 'seconds' | 'claimant' | 'serverId'>;
  logger: Logger;
  handlers: readonly Handler[];
}

interface RunningJob {
  lane: Lane;
  controller: AbortController;
}

/**
 * This server's share of the work. Each worker is known by a row that goes with the row of its server, so that the jobs of a server
 * that died are free as soon as its lease has run out.
 */
export class JobWorkers {
  private readonly options: JobWorkersOptions;
  private readonly handlers = new Map<string, Handler>();
  private readonly running = new Map<string, RunningJob>();
  /** Jobs that were aborted. */
  private readonly interrupted = new Set<string>();
  private readonly givingBack = new Set<Promise<void>>();
  private open: { lane: Lane; workers: LaneWorkers }[] = [];
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> | null = null;
  private filling: NodeJS.Immediate | null = null;
  private isEnding = false;

  constructor(options: JobWorkersOptions) {
    this.options = options;
    for (const handler of options.handlers) {
      if (this.handlers.has(handler.task.name)) throw new Error(`Two tasks are named ${handler.task.name}.`);
      this.handlers.set(handler.task.name, handler);
    }
  }

  start(): void {
    this.timer = setInterval(() => void this.look(), (this.options.lease.seconds * 1000) / 4);
    this.fill();
  }

  /** Ends all jobs that run here, because other servers may have begun them: this server has lost its lease. */
  fence(): void {
    for (const jobId of this.running.keys()) this.interrupt(jobId);
    for (const { workers } of this.open.splice(0)) void this.close(workers);
    this.fill();
  }

  /** Frees the jobs of workers that are gone, and replaces those of this server. Never throws. */
  look(): Promise<void> {
    this.looking ??= this.tryLook()
      .catch((error: unknown) => {
        this.options.logger.warn({ err: error }, 'could not look for jobs without a worker');
      })
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  /** Takes no more jobs; gives quick ones `graceMs` to end, and long ones none, since another server goes on with them. */
  async stop(shutdown: Shutdown, { graceMs, settleMs }: { graceMs: number; settleMs: number }): Promise<void> {
    this.isEnding = true;
    if (this.timer) clearInterval(this.timer);
    const ended = Promise.all(this.open.map(({ workers }) => this.close(workers))).then(() => undefined);
    for (const [jobId, { lane }] of this.running) if (lane === 'long') this.interrupt(jobId);
    await shutdown.patiently(ended, graceMs);
    for (const jobId of this.running.keys()) this.interrupt(jobId);
    const settled = ended.then(() => Promise.all([this.looking, ...this.givingBack])).then(() => undefined);
    await shutdown.within(settled, settleMs);
    if (this.running.size > 0)
      this.options.logger.warn({ count: this.running.size }, 'abandoned jobs that did not end');
  }

  private async tryLook(): Promise<void> {
    const { pool, lease, logger } = this.options;
    this.fill();
    await pool.query({
      text: 'DELETE FROM job_worker WHERE server_id = $1 AND id <> ALL($2::text[])',
      values: [lease.serverId, this.workerIds()],
    });
    const { rows } = await pool.query<{ count: number }>({
      text: `SELECT count(*)::int AS count, graphile_worker.force_unlock_workers(array_agg(id)) FROM (
          SELECT DISTINCT locked_by AS id FROM graphile_worker.jobs
          WHERE locked_by IS NOT NULL AND NOT EXISTS (SELECT FROM job_worker WHERE job_worker.id = locked_by)
        ) gone HAVING count(*) > 0`,
    });
    if (rows[0]) logger.info({ workers: rows[0].count }, 'freed the jobs of workers that are gone');
  }

  private workerIds(): string[] {
    return this.open.flatMap(({ workers }) => workers.workerIds);
  }

  /**
   * Opens as many workers as are missing. Those that were left of their lane end first, since only one set of workers of a lane may
   * listen: however many workers are given up, connections are left to take jobs over.
   */
  private fill(): void {
    if (this.filling) clearImmediate(this.filling);
    this.filling = null;
    if (!this.timer || this.isEnding) return;
    for (const lane of lanes) {
      const own = this.open.filter((each) => each.lane === lane);
      const count = own.reduce((sum, { workers }) => sum + workers.workerIds.length, 0);
      const tasks = this.tasksOf(lane);
      if (count >= concurrency[lane] || Object.keys(tasks).length === 0) continue;
      const taking = own.filter(({ workers }) => !workers.isEnding);
      for (const { workers } of taking) void this.close(workers);
      if (taking.length === 0) this.open.push({ lane, workers: this.openLane(tasks, concurrency[lane] - count) });
    }
    this.open = this.open.filter(({ workers }) => workers.workerIds.length > 0);
  }

  private openLane(tasks: TaskList, count: number): LaneWorkers {
    const { queuePool, logger } = this.options;
    const workers: LaneWorkers = new LaneWorkers({
      pool: queuePool,
      tasks,
      concurrency: count,
      logger,
      onStart: (workerId) =>
        this.register(workerId, () => !this.isEnding && this.open.some((each) => each.workers === workers)),
      onSettled: (job, threw) => {
        if (!this.interrupted.delete(job.id) || !threw) return;
        const given = this.giveBack(job).finally(() => this.givingBack.delete(given));
        this.givingBack.add(given);
      },
      // Once for all that stop together.
      onStop: () => {
        this.filling ??= setImmediate(() => this.fill());
      },
    });
    return workers;
  }

  private tasksOf(lane: Lane): TaskList {
    const own = [...this.handlers.values()].filter(({ task }) => task.lane === lane);
    return Object.fromEntries(
      own.map((handler) => [handler.task.name, (payload, { job }) => this.run(handler, payload, job)]),
    );
  }

  private async run(handler: Handler, payload: unknown, job: JobHelpers['job']): Promise<void> {
    const controller = new AbortController();
    this.running.set(job.id, { lane: handler.task.lane, controller });
    try {
      // A worker that was given up while it asked for a job.
      if (this.isEnding || !this.workerIds().includes(job.locked_by ?? '')) this.interrupt(job.id);
      controller.signal.throwIfAborted();
      const context = { signal: controller.signal, attempt: job.attempts, isLast: job.attempts >= job.max_attempts };
      await handler.run(payload, context);
    } finally {
      if (this.running.get(job.id)?.controller === controller) this.running.delete(job.id);
    }
  }

  private interrupt(jobId: string): void {
    this.interrupted.add(jobId);
    this.running.get(jobId)?.controller.abort(new InterruptedError('The server that ran this job ends.'));
  }

  /** Lets another server have it at once, and without counting the attempt. */
  private async giveBack({ id, attempts }: { id: string; attempts: number }): Promise<void> {
    try {
      await this.options.pool.query({
        text: 'SELECT FROM graphile_worker.reschedule_jobs(ARRAY[$1::bigint], run_at => now(), attempts => $2)',
        values: [id, Math.max(0, attempts - 1)],
      });
    } catch (error) {
      this.options.logger.warn({ err: error }, 'could not give a job back; it is tried again a little later');
    }
  }

  private async register(workerId: string, isWanted: () => boolean): Promise<void> {
    do {
      try {
        await this.options.pool.query({
          text: 'INSERT INTO job_worker (id, server_id) VALUES ($1, $2)',
          values: [workerId, this.options.lease.claimant()],
        });
        return;
      } catch (error) {
        this.options.logger.debug({ err: error }, 'a worker is not known yet');
        await sleep(RETRY_MS);
      }
    } while (isWanted());
  }

  private async close(workers: LaneWorkers): Promise<void> {
    await workers.end().catch((error: unknown) => {
      this.options.logger.warn({ err: error }, 'could not end the workers of a lane');
    });
  }
}
