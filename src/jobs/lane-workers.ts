import { EventEmitter } from 'node:events';
import { Logger as WorkerLogger, runTaskList, type TaskList, type WorkerPool } from 'graphile-worker';
import type pg from 'pg';
import type { Logger } from '../logger.ts';

/** How often an idle worker looks for jobs whose time has come, in milliseconds. Of new ones it is told. */
const POLL_MS = 2000;

export interface LaneOptions {
  pool: pg.Pool;
  tasks: TaskList;
  /** How many workers. */
  concurrency: number;
  logger: Logger;
  /** Called, and waited for, before a worker takes its first job. Must not throw. */
  onStart: (workerId: string) => Promise<void>;
  /** Called when a job has been settled: removed, or left to be tried again because its task threw. */
  onSettled: (job: { id: string; attempts: number }, threw: boolean) => void;
  /** Called when there is one worker less. */
  onStop: () => void;
}

/**
 * Workers of one lane, as graphile-worker runs them: each takes a job, runs its task, and takes the next. Until they are ended, one
 * connection of the pool listens for them.
 */
export class LaneWorkers {
  private readonly pool: WorkerPool;
  private readonly live = new Set<string>();
  private ended: Promise<void> | null = null;

  constructor({ pool, tasks, concurrency, logger, onStart, onSettled, onStop }: LaneOptions) {
    const events = new EventEmitter();
    events.on('worker:create', ({ worker }: WorkerEvent) => this.live.add(worker.workerId));
    // Also when it could not give a job back: graphile-worker then gives the worker up, and its place stays empty.
    events.on('worker:stop', ({ worker }: WorkerEvent) => {
      this.live.delete(worker.workerId);
      onStop();
    });
    events.on('job:complete', ({ job, error }: JobEvent) => onSettled(job, Boolean(error)));
    this.pool = runTaskList(
      {
        concurrency,
        pollInterval: POLL_MS,
        noHandleSignals: true,
        logger: bridge(logger),
        events,
        preset: {
          plugins: [
            {
              name: 'parley-workers',
              version: '1.0.0',
              worker: { hooks: { startWorker: (_context, { worker }) => onStart(worker.workerId) } },
            },
          ],
        },
      },
      tasks,
      pool,
    );
    // How it ends is heard of from `end`.
    this.pool.promise.catch(() => undefined);
  }

  get workerIds(): string[] {
    return [...this.live];
  }

  /** Whether they take no more jobs. */
  get isEnding(): boolean {
    return this.ended !== null;
  }

  /** Takes no more jobs. Resolves when those that run have ended and are given back. */
  end(): Promise<void> {
    this.ended ??= this.pool.gracefulShutdown('No more jobs are taken here.');
    return this.ended;
  }
}

interface WorkerEvent {
  worker: { workerId: string };
}

interface JobEvent {
  job: { id: string; attempts: number };
  error: unknown;
}

/** Ends a job that goes on elsewhere. */
export class InterruptedError extends Error {
  override name = 'InterruptedError';
}

/** Levels of graphile-worker's own. */
const failures: readonly string[] = ['error'];

/** Leaves out what the lines come with: payloads, and whole errors. That a job was interrupted is no failure. */
function bridge(logger: Logger): WorkerLogger {
  return new WorkerLogger(() => (level, message, about) => {
    if (failures.includes(level) && !(about?.error instanceof InterruptedError))
      logger.warn({ from: 'graphile-worker' }, message);
    else logger.debug({ from: 'graphile-worker' }, message);
  });
}
