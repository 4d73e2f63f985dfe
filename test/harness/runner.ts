import { Runner, type RunnerOptions } from '../../src/generation/runner.ts';
import { newId } from '../../src/ids.ts';
import { createLogger } from '../../src/logger.ts';
import { noStorage } from './files.ts';

/** A runner beside those of servers, which the caller stops. It logs nothing and waits long for its runtimes. */
export function createRunner(options: Pick<RunnerOptions, 'pool' | 'bus' | 'lease' | 'runtimes'>): Runner {
  return new Runner({
    ...options,
    logger: createLogger({ level: 'silent' }),
    newId,
    silenceSeconds: 300,
    historyBytes: 65_536,
    storage: noStorage,
  });
}
