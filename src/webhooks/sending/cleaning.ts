import type { Pool } from '../../db.ts';
import { KEPT_DAYS } from '../model.ts';

/** How many deliveries one statement removes at most. */
const CLEAN_ROWS = 5000;

/** How many deleted conversations are dealt with together. */
const ERASURES = 100;

/** Removes what deleted conversations have left. */
export async function removeErased(pool: Pool): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ id: string }>({
      name: 'read-webhook-erasures',
      text: 'SELECT conversation_id AS id FROM webhook_erasure ORDER BY conversation_id LIMIT $1',
      values: [ERASURES],
    });
    if (rows.length === 0) return;
    const ids = rows.map(({ id }) => id);
    await removeAll(pool, `conversation_id = ANY($1::uuid[]) AND event <> 'ConversationDeleted'`, ids);
    await pool.query('DELETE FROM webhook_erasure WHERE conversation_id = ANY($1::uuid[])', [ids]);
  }
}

/**
 * Discards the payloads of a conversation's deliveries, since they may hold what was erased in it. What is still to be sent is made
 * anew, of what is left; a payload that is being made of what was there before is not stored. Call it once the erasing is committed.
 */
export async function discardPayloads(pool: Pool, conversationId: string): Promise<void> {
  // Also of those that have none yet: only a row that changes tells whoever is about to store one.
  for (let last: string | undefined, isMore = true; isMore;) {
    const { rows } = await pool.query<{ last: string | null; count: number }>({
      name: 'discard-webhook-payloads',
      text: `WITH page AS (
          SELECT id FROM webhook_delivery WHERE conversation_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3
        ), discarded AS (
          UPDATE webhook_delivery d SET payload = NULL, discarded = d.discarded + 1 FROM page WHERE d.id = page.id
        ) SELECT (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last, (SELECT count(*) FROM page)::int AS count`,
      values: [conversationId, last ?? null, CLEAN_ROWS],
    });
    last = rows[0]?.last ?? undefined;
    isMore = rows[0]?.count === CLEAN_ROWS;
  }
}

/** Removes webhooks that were deleted. */
export async function removeDeleted(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM webhook WHERE deleted_at IS NOT NULL ORDER BY id');
  for (const { id } of rows) {
    await removeAll(pool, 'webhook_id = $1', id);
    await pool.query('DELETE FROM webhook WHERE id = $1 AND deleted_at IS NOT NULL', [id]);
  }
}

/** Removes what has been kept for long enough. */
export async function removeOld(pool: Pool): Promise<void> {
  await removeAll(pool, 'id < $1 ORDER BY id', oldestKept(Date.now()));
}

/** Removes the deliveries that a condition on `$1` names, in statements that each end soon. */
async function removeAll(pool: Pool, which: string, value: string | string[]): Promise<void> {
  for (let removed = CLEAN_ROWS; removed === CLEAN_ROWS;) {
    const { rowCount } = await pool.query({
      text: `DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery WHERE ${which} LIMIT $2)`,
      values: [value, CLEAN_ROWS],
    });
    removed = rowCount ?? 0;
  }
}

/** The least id of what is kept: ids begin with the time in milliseconds. */
function oldestKept(now: number): string {
  const hex = (now - KEPT_DAYS * 24 * 3_600_000).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
