import { setTimeout as sleep } from 'node:timers/promises';

/** What ends the trying: one of the two, or both. */
type Limit =
  | {
      /** Ends the trying, also while it waits. */
      signal: AbortSignal;
      attempts?: number;
    }
  | {
      signal?: AbortSignal;
      /** After so many the last failure is thrown. */
      attempts: number;
    };

export type RetryOptions = Limit & {
  /** Told of each failure. */
  onFailure?: (error: unknown) => void;
  /** The first wait, in milliseconds; each is twice as long as the one before. Default 100. */
  firstMs?: number;
  /** The longest wait, in milliseconds. Default 2,000. */
  longestMs?: number;
  /** Waits before the first attempt too, and makes waits up to half shorter, so that many do not try at once. */
  spread?: boolean;
};

/** Tries until it succeeds. Rejects with the reason of the abort when the signal aborts, with the last failure after `attempts`. */
export async function retry<T>(attempt: () => T | Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, onFailure, attempts = Infinity, firstMs = 100, longestMs = 2000, spread = false } = options;
  const pause = async (wait: number) => {
    await sleep(spread ? wait * (0.5 + Math.random() / 2) : wait, undefined, { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  };
  signal?.throwIfAborted();
  if (spread) await pause(firstMs);
  let wait = spread ? firstMs * 2 : firstMs;
  for (let attempted = 1; ; attempted += 1) {
    try {
      return await attempt();
    } catch (error) {
      onFailure?.(error);
      signal?.throwIfAborted();
      if (attempted >= attempts) throw error;
      await pause(Math.min(wait, longestMs));
      wait *= 2;
    }
  }
}
