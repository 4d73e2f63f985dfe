import { inTransaction, type Pool } from '../../db.ts';
import type { Logger } from '../../logger.ts';

/** How often it is looked for visitors to forget, in milliseconds. */
const SWEEP_MS = 60_000;
/** How many are looked at in one transaction, and how many transactions a sweep may take. */
const BATCH = 500;
const MOST_BATCHES = 100;

/**
 * Deletes anonymous visitors who have not written by their time, on whichever server comes first. Each is looked at once: who has
 * written stays; conversations in which nobody has written go with them. Returns a function that stops it, which resolves when nothing runs any more.
 */
export function startForgettingVisitors(pool: Pool, logger: Logger, everyMs = SWEEP_MS): () => Promise<void> {
  let stopped = false;
  let sweeping: Promise<void> | undefined;
  const sweep = async () => {
    for (let batch = 0; batch < MOST_BATCHES && !stopped; batch += 1) {
      if ((await forgetVisitors(pool)) < BATCH) return;
    }
  };
  const timer = setInterval(() => {
    sweeping ??= sweep()
      .catch((error: unknown) => logger.warn({ err: error }, 'could not forget visitors'))
      .finally(() => {
        sweeping = undefined;
      });
  }, everyMs);
  return async () => {
    stopped = true;
    clearInterval(timer);
    await sweeping;
  };
}

/** Looks at one batch of visitors whose time has come. Returns how many there were. */
export function forgetVisitors(pool: Pool): Promise<number> {
  return inTransaction(pool, async (db) => {
    // Whoever begins a conversation holds the row: they are skipped, and looked at next time.
    const { rows } = await db.query<{ id: string }>({
      text: 'SELECT id FROM contact WHERE forget_after < now() ORDER BY forget_after LIMIT $1 FOR UPDATE SKIP LOCKED',
      values: [BATCH],
    });
    if (rows.length === 0) return 0;
    const values = [rows.map(({ id }) => id)];
    // In a statement of its own, which sees what was committed before the rows were locked.
    await db.query({
      text: `WITH empty AS (
          DELETE FROM conversation c USING contact p
          WHERE p.id = ANY($1::uuid[]) AND p.anonymous AND p.blocked_at IS NULL AND c.contact_id = p.id AND c.message_count = 0
            AND NOT EXISTS (SELECT FROM conversation WHERE contact_id = p.id AND message_count > 0)
          RETURNING c.id
        ), unlogged AS (
          DELETE FROM event WHERE conversation_id IN (SELECT id FROM empty)
        ) DELETE FROM idempotency WHERE conversation_id IN (SELECT id FROM empty)`,
      values,
    });
    await db.query({
      text: `DELETE FROM contact c WHERE id = ANY($1::uuid[]) AND anonymous AND blocked_at IS NULL
        AND NOT EXISTS (SELECT FROM conversation WHERE contact_id = c.id)`,
      values,
    });
    await db.query({
      text: 'UPDATE contact SET forget_after = NULL, network = NULL WHERE id = ANY($1::uuid[])',
      values,
    });
    return rows.length;
  });
}
