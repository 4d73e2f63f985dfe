import type { Pool } from '../../db.ts';
import { type EventPosition, readTail } from '../../conversations/log/tail.ts';
import type { Logger } from '../../logger.ts';
import { distributeSql } from './distribute-statement.ts';
import { placesOf } from './distributor.ts';

/** Events of a replay that become deliveries in one statement. */
const PAGE = 500;

/** A replay waits while so many deliveries wait for their first try. */
const MOST_WAITING = 10_000;

/** Replays that are carried on at a time. */
const AT_ONCE = 20;

type ReplayRow = EventPosition & { webhookId: string; beat: string; until: string; untilEpoch: number };

/** What a look at the replays has led to. */
interface Advanced {
  /** Whether any was carried on, even if nothing in its page was for the webhook. */
  moved: boolean;
  /** Whether there are new deliveries. */
  made: boolean;
}

/**
 * Carries replays on by a page each, those first that were carried on least. One that fails does not hinder the others, and is
 * tried again by a later look. Two servers at once do no harm.
 */
export async function advanceReplays(pool: Pool, logger: Logger): Promise<Advanced> {
  const { rows } = await pool.query<ReplayRow>({
    name: 'read-webhook-replays',
    text: `SELECT webhook_id AS "webhookId", epoch, told, telling, seq::text AS seq, beat::text AS beat, until,
        until_epoch AS "untilEpoch"
      FROM webhook_replay r
      WHERE (SELECT count(*) FROM (SELECT FROM webhook_delivery d
        WHERE d.webhook_id = r.webhook_id AND d.status = 'PENDING' AND d.tries = 0 LIMIT $2) AS waiting) < $2
      ORDER BY r.beat, webhook_id LIMIT $1`,
    values: [AT_ONCE, MOST_WAITING],
  });
  const all = { moved: false, made: false };
  for (const replay of rows) {
    try {
      const { moved, made } = await advance(pool, replay);
      all.moved ||= moved;
      all.made ||= made;
    } catch (error) {
      logger.warn(
        { err: error, webhookId: replay.webhookId },
        'could not carry the replay of a webhook on; trying again',
      );
      await pool.query({
        text: 'UPDATE webhook_replay SET beat = beat + 1 WHERE webhook_id = $1 AND beat = $2',
        values: [replay.webhookId, replay.beat],
      });
    }
  }
  return all;
}

async function advance(pool: Pool, { webhookId, beat, until, untilEpoch, ...stored }: ReplayRow): Promise<Advanced> {
  const isLast = stored.epoch >= untilEpoch && (stored.telling === null || stored.telling === until);
  const from = isLast ? { ...stored, telling: until } : stored;
  const page = await readTail(pool, from, PAGE);
  const isOver = isLast && page.events.length < PAGE;
  const { epoch, told, telling, seq } = page.position;
  const { rows } = await pool.query<{ beat: string | null; made: number }>({
    text: distributeSql(
      isOver
        ? 'DELETE FROM webhook_replay WHERE beat = $3 AND webhook_id = $4 RETURNING beat::text AS beat, webhook_id AS replayed, since'
        : `UPDATE webhook_replay SET epoch = $5, told = $6, telling = $7, seq = $8, beat = beat + 1
            WHERE beat = $3 AND webhook_id = $4 RETURNING beat::text AS beat, webhook_id AS replayed, since`,
    ),
    values: [...placesOf(from, page), beat, webhookId, ...(isOver ? [] : [epoch, told, telling, seq])],
  });
  const { beat: at = null, made = 0 } = rows[0] ?? {};
  return { moved: at !== null, made: made > 0 };
}
