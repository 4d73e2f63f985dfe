import type { ExecutionResult } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { onClock, WorkClock } from '../work-clock.ts';
import { serviceUnavailable } from './errors.ts';

/** How long an operation may work, in milliseconds. Waiting for a reply does not count. */
export const WORK_MS = 30_000;

/** How long an operation whose time is over may take to report its result, in milliseconds. */
const LAST_WORDS_MS = 1000;

/** Runs an operation, or the start of a subscription, for at most as long as it may work. */
export function limitWork<A extends unknown[], R>(
  run: (...args: A) => R | Promise<R>,
  limitMs = WORK_MS,
): (...args: A) => Promise<R | ExecutionResult> {
  return async (...args) => {
    const clock = new WorkClock(limitMs);
    let giveUp: NodeJS.Timeout | undefined;
    const tooLong = new Promise<ExecutionResult>((resolve) => {
      clock.onExpiry.add(() => {
        const message = `The operation took longer than ${limitMs / 1000} s. Some of it may have been done.`;
        // Its statements have been cancelled, so its fields normally report their own results. This answers if something else hangs.
        giveUp = setTimeout(() => resolve({ errors: [serviceUnavailable(message, 5)] }), LAST_WORDS_MS);
      });
    });
    try {
      return await Promise.race([onClock(clock, async () => run(...args)), tooLong]);
    } finally {
      clearTimeout(giveUp);
      clock.end();
    }
  };
}

/** Limits the work of HTTP requests. */
export const limitedWork: Plugin = {
  onExecute: ({ executeFn, setExecuteFn }) => setExecuteFn(limitWork(executeFn)),
  onSubscribe: ({ subscribeFn, setSubscribeFn }) => setSubscribeFn(limitWork(subscribeFn)),
};
