import type { Queryable } from '../db.ts';
import { letterLimits } from './model.ts';

/** How many letters one statement removes or settles at most. */
const ROWS = 1000;

/** Removes letters that belong to no conversation and are old, and settles those whose job is gone: their servers died each time. */
export async function cleanLetters(db: Queryable): Promise<void> {
  for (let removed = ROWS; removed === ROWS;) {
    const { rowCount } = await db.query({
      text: `DELETE FROM letter WHERE id IN (SELECT id FROM letter
        WHERE conversation_id IS NULL AND status <> 'WAITING' AND created_at < now() - interval '${letterLimits.keptDays} days' LIMIT $1)`,
      values: [ROWS],
    });
    removed = rowCount ?? 0;
  }
  await db.query({
    text: `UPDATE letter SET status = 'FAILED', done_at = now(),
        detail = coalesce(detail, 'The servers that worked on it stopped, each time it was tried.')
      WHERE id IN (SELECT id FROM letter l WHERE status = 'WAITING' AND created_at < now() - interval '1 hour'
        AND NOT EXISTS (SELECT FROM graphile_worker.jobs q
          WHERE q.key = 'letter:' || l.id AND (q.attempts < q.max_attempts OR q.locked_at IS NOT NULL)) LIMIT $1)`,
    values: [ROWS],
  });
  await db.query({
    text: `DELETE FROM letter_allowance WHERE times[cardinality(times)] < now() - interval '1 hour'`,
  });
}
