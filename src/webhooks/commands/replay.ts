import type { Pool } from '../../db.ts';
import { beginning, decodeEventPosition, type EventPosition } from '../../conversations/log/tail.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { WebhookServices } from '../model.ts';

/** An event may be committed so long after the time that it bears, in milliseconds. */
const COMMIT_MS = 60_000;

/** Where a replay begins: a position or a time. */
export interface ReplayStart {
  position?: string | null | undefined;
  time?: Date | null | undefined;
}

/**
 * Sends a webhook once more what was committed between a position, or a time, and now, as new deliveries. Takes the place of a
 * replay of this webhook that still runs.
 */
export async function replayWebhook(
  { pool, webhooks }: Pick<WebhookServices, 'pool' | 'webhooks'>,
  { organizationId }: { organizationId: string },
  input: { webhookId: string; from: ReplayStart },
): Promise<{ webhookId: string }> {
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const { position, time = null } = input.from;
  const from = position == null ? await placeAt(pool, time ?? new Date(0)) : decodeEventPosition(position);
  if (!from) {
    throw new InvalidInputError([{ path: ['from', 'position'], code: 'MALFORMED', detail: 'Is not a position.' }]);
  }
  const { rowCount } = await pool.query({
    text: `INSERT INTO webhook_replay AS r (webhook_id, organization_id, epoch, told, telling, seq, since, until, until_epoch)
      SELECT id, organization_id, $3, $4, $5, $6, $7, pg_current_snapshot()::text, current_epoch() FROM webhook
      WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL
      ON CONFLICT (webhook_id) DO UPDATE SET epoch = excluded.epoch, told = excluded.told, telling = excluded.telling,
        seq = excluded.seq, since = excluded.since, until = excluded.until, until_epoch = excluded.until_epoch, beat = r.beat + 1`,
    values: [webhookId, organizationId, from.epoch, from.told, from.telling, from.seq, time],
  });
  if (rowCount === 0) throw new NotFoundError(['webhookId']);
  webhooks.wake();
  return { webhookId };
}

/** A place in the log before everything from this time on, and not far before it. `seq` rises with time but for what commits late. */
async function placeAt(pool: Pool, time: Date): Promise<EventPosition> {
  const at = async (seq: bigint) => {
    const { rows } = await pool.query<{ seq: string; epoch: number; occurredAt: Date }>({
      name: 'read-event-from-seq',
      text: `SELECT seq::text AS seq, epoch, occurred_at AS "occurredAt" FROM event WHERE seq >= $1 ORDER BY seq LIMIT 1`,
      values: [seq.toString()],
    });
    return rows[0] ?? null;
  };
  const sought = time.getTime() - COMMIT_MS;
  const { rows } = await pool.query<{ last: string | null }>('SELECT max(seq)::text AS last FROM event');
  let [low, high] = [0n, BigInt(rows[0]?.last ?? 0) + 1n];
  while (low < high) {
    const middle = (low + high) / 2n;
    const event = await at(middle);
    if (event && event.occurredAt.getTime() < sought) low = BigInt(event.seq) + 1n;
    else high = middle;
  }
  const first = await at(low);
  const current = await pool.query<{ epoch: number }>('SELECT current_epoch() AS epoch');
  const epoch = first?.epoch ?? current.rows[0]?.epoch ?? 0;
  return { ...beginning, epoch, seq: (low > 0n ? low - 1n : 0n).toString() };
}
