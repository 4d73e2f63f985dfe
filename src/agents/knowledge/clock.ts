import { setImmediate as immediate, setTimeout as timeout } from 'node:timers/promises';

/** Time, in milliseconds from any origin. */
export interface Clock {
  now(): number;
  /** Rejects as soon as the signal aborts, leaving no timer behind. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<unknown>;
}

export const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => timeout(milliseconds, undefined, { signal }),
};

/** Yields each item at its time, counted from the first, so that delays do not add up. Lets others run when it is behind. */
export async function* paced<T>(
  items: readonly T[],
  perSecond: number,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const start = clock.now();
  for (const [index, item] of items.entries()) {
    const due = perSecond > 0 ? start + (index * 1000) / perSecond : start;
    let early = due - clock.now();
    if (early <= 0 && index % 32 === 31) await immediate();
    // Longer than a timer can be is possible, and so is a timer that fires too early.
    for (; early > 0; early = due - clock.now()) await pause(Math.min(early, 60_000), clock, signal);
    signal.throwIfAborted();
    yield item;
  }
}

async function pause(milliseconds: number, clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(milliseconds, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
