import { setTimeout as sleep } from 'node:timers/promises';

/** Rejects if a promise does not settle in time. */
export async function within(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const tooLate = sleep(milliseconds, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${milliseconds} ms`);
  });
  await Promise.race([promise, tooLate]).finally(() => timer.abort());
}
