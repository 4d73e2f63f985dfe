import { APICallError } from '@ai-sdk/provider';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long to wait before each further attempt, in milliseconds. */
const WAITS = [300, 1000];

/** The longest wait that a server may ask for, in milliseconds. A user is waiting too. */
const LONGEST_WAIT = 5000;

/**
 * Tries again, a few times, when a server is too busy, has failed or cannot be reached; waits as long as it asks for, unless
 * that is too long. Rejects with the last error, or with the signal's reason as soon as that aborts.
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

/** Whether the fault may be gone in a moment. */
function isPassing(error: unknown): boolean {
  if (!APICallError.isInstance(error)) return false;
  const { statusCode } = error;
  return statusCode === undefined ? error.isRetryable : [429, 500, 502, 503, 529].includes(statusCode);
}

/** What a `Retry-After` asks for, in milliseconds. */
function askedWait(error: unknown): number {
  const header = APICallError.isInstance(error) ? error.responseHeaders?.['retry-after'] : undefined;
  if (header === undefined) return 0;
  const wait = /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(wait) ? 0 : Math.max(0, wait);
}
