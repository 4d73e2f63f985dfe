import { createHash } from 'node:crypto';
import type { Pool } from '../../db.ts';
import type { Logger } from '../../logger.ts';
import type { IdempotencyKey } from '../model.ts';

/** The idempotency key and the hash of the command's input. Null if the caller gave no key. */
export function idempotencyOf(
  caller: string,
  key: string | null,
  command: string,
  input: Record<string, unknown>,
): IdempotencyKey | null {
  if (key === null) return null;
  // Left out of the hash: `awaitReply` changes only what is returned.
  const { idempotencyKey: _key, awaitReply: _wait, ...rest } = input;
  return { caller, key, inputHash: createHash('sha256').update(command).update(canonical(rest)).digest('hex') };
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value instanceof Date || value instanceof URL) return JSON.stringify(value);
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join()}}`;
  }
  return value === undefined ? 'null' : JSON.stringify(value);
}

/** Removes keys older than 24 hours, once an hour. Returns a function that stops it. */
export function startForgettingKeys(pool: Pool, logger: Logger): () => void {
  const timer = setInterval(() => {
    pool.query("DELETE FROM idempotency WHERE created_at < now() - interval '24 hours'").catch((error: unknown) => {
      logger.warn({ err: error }, 'could not remove old idempotency keys');
    });
  }, 3_600_000);
  return () => {
    clearInterval(timer);
  };
}
