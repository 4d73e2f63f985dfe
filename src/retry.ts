import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryOptions {
  /** Ends the trying, also while it waits. */
  signal: AbortSignal;
  /** Told of each failure. */
  onFailure?: (error: unknown) => void;
  /** The first wait, in milliseconds; each is twice as long as the one before. Default 100. */
  firstMs?: number;
  /** The longest wait, in milliseconds. Default 2,000. */
  longestMs?: number;
  /** Waits before the first attempt too, and makes waits up to half shorter, so that many do not try at once. */
  spread?: boolean;
}

/** Tries until it succeeds. Rejects with the reason of the abort when the signal aborts. */
export async function retry<T>(attempt: () => T | Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, onFailure, firstMs = 100, longestMs = 2000, spread = false } = options;
  const pause = async (wait: number) => {
    await sleep(spread ? wait * (0.5 + Math.random() / 2) : wait, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  };
  signal.throwIfAborted();
  if (spread) await pause(firstMs);
  for (let wait = spread ? firstMs * 2 : firstMs; ; wait = Math.min(wait * 2, longestMs)) {
    try {
      return await attempt();
    } catch (error) {
      onFailure?.(error);
      signal.throwIfAborted();
      await pause(Math.min(wait, longestMs));
    }
  }
}
