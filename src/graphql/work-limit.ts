import type { ExecutionResult } from 'graphql';
import { isAsyncIterable, type Plugin } from 'graphql-yoga';
import type { WorkClock } from '../work-clock.ts';
import type { GraphQLContext } from './context.ts';
import { serviceUnavailable } from './errors.ts';

/** How long an operation whose time is over may take to report its result, in milliseconds. */
const LAST_WORDS_MS = 1000;

/** Runs an operation, or the start of a subscription, for at most as long as its clock allows. */
export async function limitWork<R>(clock: WorkClock, run: () => R | Promise<R>): Promise<R | ExecutionResult> {
  let giveUp: NodeJS.Timeout | undefined;
  const tooLong = new Promise<ExecutionResult>((resolve) => {
    clock.onExpiry.add(() => {
      const message = `The operation took longer than ${clock.limitMs / 1000} s. Some of it may have been done.`;
      // It begins nothing more, so its fields normally report their own results. This answers if something hangs.
      giveUp = setTimeout(() => {
        resolve({ errors: [serviceUnavailable(message, 5)] });
        work.then(dismiss, () => undefined);
      }, LAST_WORDS_MS);
    });
  });
  clock.start();
  const work = (async () => await run())().finally(() => {
    clearTimeout(giveUp);
    clock.end();
  });
  return Promise.race([work, tooLong]);
}

/** Ends a subscription that has begun when nobody waits for it any more, and nobody else would end it. */
async function dismiss(result: unknown): Promise<void> {
  if (isAsyncIterable(result)) await result[Symbol.asyncIterator]().return?.();
}

/** Limits the work of HTTP requests. */
export const limitedWork: Plugin<GraphQLContext> = {
  onExecute: ({ args, executeFn, setExecuteFn }) =>
    setExecuteFn((given) => limitWork(args.contextValue.clock, (): unknown => executeFn(given))),
  onSubscribe: ({ args, subscribeFn, setSubscribeFn }) =>
    setSubscribeFn((given) => limitWork(args.contextValue.clock, (): unknown => subscribeFn(given))),
};
