import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ResourceLimits, Worker } from 'node:worker_threads';

/**
 * Starts a module of this program in a thread of its own, from the sources or from the build. `module` is its path below `src`,
 * without its extension. The module finds `data` in `workerData`.
 */
export function startWorker(module: string, data: object, resourceLimits?: ResourceLimits): Worker {
  // The extension of this running file. In a bundle, the workers are beside it.
  const ending = extname(import.meta.filename);
  const file = pathToFileURL(join(import.meta.dirname, module + ending));
  const first = ending === '.ts' ? new URL('worker-from-sources.mjs', import.meta.url) : file;
  return new Worker(first, {
    workerData: { ...data, module: file.href },
    execArgv: [],
    ...(resourceLimits && { resourceLimits }),
  });
}
