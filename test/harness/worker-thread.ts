import { dirname, join } from 'node:path';
import { type ResourceLimits, Worker } from 'node:worker_threads';
import { inject } from 'vitest';

/** Stands in for `src/worker-thread.ts` in servers of test processes: starts the bundled worker beside the bundled program. */
export function startWorker(module: string, data: object, resourceLimits?: ResourceLimits): Worker {
  return new Worker(join(dirname(inject('program')), `${module}.mjs`), {
    workerData: data,
    execArgv: [],
    ...(resourceLimits && { resourceLimits }),
  });
}
