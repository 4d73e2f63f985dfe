import { setTimeout as sleep } from 'node:timers/promises';

/** What stops the retrying: a signal, a number of attempts, or both. */
type Limit =
  | {
      /** Stops retrying, even during a wait. */
      signal: AbortSignal;
      attempts?: number;
    }
  | {
      signal?: AbortSignal;
      /** After this many attempts the last failure is thrown. */
      attempts: number;
    };

export type RetryOptions = Limit & {
  /** Called for each failure. */
  onFailure?: (error: unknown) => void;
  /** The first wait, in milliseconds. Each wait is twice as long as the one before. Default: 100. */
  firstMs?: number;
  /** The longest wait, in milliseconds. Default: 2,000. */
  longestMs?: number;
  /** Also waits before the first attempt, and makes waits up to half shorter, so that many clients do not retry at the same time. */
  spread?: boolean;
};

/** Retries until success. Rejects with the signal's reason when the signal aborts, or with the last failure after `attempts`. */
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
