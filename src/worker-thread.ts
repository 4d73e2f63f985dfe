import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ResourceLimits, Worker } from 'node:worker_threads';

/**
 * Starts a module of this program in a thread of its own, from the sources or as it was built. `module` is its path below `src`,
 * without its ending; it finds `data` in `workerData`.
 */
export function startWorker(module: string, data: object, resourceLimits?: ResourceLimits): Worker {
  // Of this file as it runs: where the program is one file, its workers stand beside it.
  const ending = extname(import.meta.filename);
  const file = pathToFileURL(join(import.meta.dirname, module + ending));
  const first = ending === '.ts' ? new URL('worker-from-sources.mjs', import.meta.url) : file;
  return new Worker(first, {
    workerData: { ...data, module: file.href },
    execArgv: [],
    ...(resourceLimits && { resourceLimits }),
  });
}
