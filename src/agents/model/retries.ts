import { APICallError } from '@ai-sdk/provider';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait before each further attempt, in milliseconds. */
const WAITS = [300, 1000];

/** The longest wait that a server may ask for, in milliseconds. It is short because a user is waiting. */
const LONGEST_WAIT = 5000;

/**
 * Retries a few times when a server is overloaded, has failed or cannot be reached. Waits as long as the server asks, unless
 * that is too long. Rejects with the last error, or with the signal's reason as soon as the signal aborts.
 */
export async function withRetries<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const wait of WAITS) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      const asked = askedWait(error);
      if (!isPassing(error) || asked > LONGEST_WAIT) throw error;
      await sleep(Math.max(wait, asked), undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  return attempt();
}

/** Whether a retry may succeed. */
function isPassing(error: unknown): boolean {
  if (!APICallError.isInstance(error)) return false;
  const { statusCode } = error;
  return statusCode === undefined ? error.isRetryable : [429, 500, 502, 503, 529].includes(statusCode);
}

/** The wait that a `Retry-After` header asks for, in milliseconds. */
function askedWait(error: unknown): number {
  const header = APICallError.isInstance(error) ? error.responseHeaders?.['retry-after'] : undefined;
  if (header === undefined) return 0;
  const wait = /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(wait) ? 0 : Math.max(0, wait);
}
