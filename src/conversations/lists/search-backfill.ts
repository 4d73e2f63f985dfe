import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../../db.ts';
import type { Logger } from '../../logger.ts';

/** Rows processed in one statement. */
const BATCH = 200;
/** The pause between statements, so that clients come first, and the pause after a failure. */
const [PAUSE_MS, RETRY_MS] = [50, 5000];

/**
 * Makes titles and texts searchable that were written before the search tables existed: in batches, one server at a time, from
 * where the last one stopped. Returns a function that stops it.
 */
export function startSearchBackfill(pool: Pool, logger: Logger): () => Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const isStopped = () => signal.aborted;
  async function fill(kind: string, sql: string): Promise<void> {
    while (!isStopped()) {
      try {
        const { rows } = await pool.query<{ finished: boolean }>(sql, [kind, BATCH]);
        // No row: the work is done, or another server does it.
        if (rows[0]?.finished !== false) return;
        await sleep(PAUSE_MS, undefined, { signal });
      } catch (error) {
        if (isStopped()) return;
        logger.warn({ err: error, kind }, 'could not make older texts searchable; trying again');
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
  const filling = fill('title', titlesSql).then(() => fill('text', textsSql));
  return async () => {
    stop.abort();
    await filling;
  };
}

/** Locks the stored place, reads the rows after it, inserts the result of `select`, and moves the place on. */
const batchSql = (table: string, select: string) => /* sql */ `
WITH place AS (
  SELECT kind, done_to FROM search_backfill WHERE kind = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED
), batch AS (
  SELECT source.* FROM place CROSS JOIN LATERAL (
    SELECT * FROM ${table} WHERE id > coalesce(place.done_to, '00000000-0000-0000-0000-000000000000'::uuid) ORDER BY id LIMIT $2
  ) source
), added AS (
  INSERT INTO search_text (source_id, index, conversation_id, organization_id, words) ${select}
  ON CONFLICT DO NOTHING
)
UPDATE search_backfill SET
  done_to = coalesce((SELECT id FROM batch ORDER BY id DESC LIMIT 1), place.done_to),
  finished_at = CASE WHEN (SELECT count(*) FROM batch) < $2 THEN now() END
FROM place WHERE search_backfill.kind = place.kind
RETURNING finished_at IS NOT NULL AS finished`;

const titlesSql = batchSql(
  'conversation',
  `SELECT id, 0, id, organization_id, list_words(title) FROM batch WHERE title IS NOT NULL`,
);

const textsSql = batchSql(
  'message',
  `SELECT f.message_id, f.index, m.conversation_id, m.organization_id, list_words(f.text)
    FROM batch m JOIN fragment f ON f.message_id = m.id
    WHERE m.role IN ('USER', 'AGENT') AND m.status <> 'IN_PROGRESS' AND f.kind = 'TEXT'`,
);
