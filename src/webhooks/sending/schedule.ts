/** When a try that failed is followed by the next, in seconds: after the first try, after the second, … */
const delays = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600];

/** How many tries a delivery has before it has failed. */
export const MOST_TRIES = delays.length + 1;

/** Delays are longer by up to this part, so that what failed together does not come back together. */
const JITTER = 0.2;

/** The longest that an endpoint may ask to wait, in seconds. */
const LONGEST_WISH = 24 * 3600;

/** How long to wait after a failed try, in milliseconds, when it was the `tries`th one. Null: it was the last one. */
export function delayAfter(tries: number, retryAfter: number | null, random = Math.random()): number | null {
  const delay = delays[tries - 1];
  if (delay === undefined) return null;
  return Math.max(delay * (1 + JITTER * random), retryAfter ?? 0) * 1000;
}

/** The seconds that a `Retry-After` header asks to wait: a number, or an HTTP date. Null if there is none that can be read. */
export function readRetryAfter(header: string | undefined, now = Date.now()): number | null {
  if (header === undefined) return null;
  const seconds = /^\d{1,9}$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), LONGEST_WISH) : null;
}
