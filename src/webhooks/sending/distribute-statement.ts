import { LANES } from '../model.ts';

/**
 * A UUIDv7 that is greater than those of earlier rows: the time, the place in the statement, then chance. PostgreSQL 15 makes none.
 */
const idSql = (place: string) => /* sql */ `(
  clock.ms || '-7' || substr(lpad(to_hex(${place}), 6, '0'), 1, 3) || '-8' || substr(lpad(to_hex(${place}), 6, '0'), 4, 3)
  || substr(gen_random_uuid()::text, 24))::uuid`;

/** Whether there is a webhook that events are distributed to. */
export const awaitedSql = /* sql */ `EXISTS (SELECT FROM webhook WHERE status = 'ON')`;

/**
 * Makes deliveries of events, in the order of the log. `$1` are their `seq`, `$2` the positions after them. `move` is the
 * statement that claims them: `beat`, the webhook whose replay it is (null: all that are on), and the time before which
 * events are left out. Nothing is made if it returns no row.
 *
 * Of a conversation that is deleted only `ConversationDeleted` remains. That its other deliveries are to be removed is noted here:
 * they may be more than one statement can remove.
 */
export const distributeSql = (move: string) => /* sql */ `
WITH moved AS (${move}),
fresh AS MATERIALIZED (
  SELECT e.*, p.position, moved.replayed, moved.since
  FROM moved, unnest($1::bigint[], $2::text[]) AS p(seq, position) JOIN event e ON e.seq = p.seq
), wanted AS (
  SELECT w.id AS webhook_id, fresh.*, row_number() OVER (ORDER BY fresh.seq, w.id) AS nth
  FROM fresh JOIN webhook w ON w.organization_id = fresh.organization_id
    AND (w.events = '{}' OR fresh.type::text = ANY(w.events))
  WHERE CASE WHEN fresh.replayed IS NULL
    THEN w.status = 'ON' AND (fresh.epoch > w.since_epoch
      OR (fresh.epoch = w.since_epoch AND NOT pg_visible_in_snapshot(fresh.xid, w.since::pg_snapshot)))
    ELSE w.id = fresh.replayed AND (fresh.since IS NULL OR fresh.occurred_at >= fresh.since) END
), made AS (
  INSERT INTO webhook_delivery (id, organization_id, webhook_id, lane, event, conversation_id, seq, position)
  SELECT ${idSql('nth')}, organization_id, webhook_id, get_byte(uuid_send(conversation_id), 15) % ${LANES},
    type::text, conversation_id, seq, position
  FROM (
    SELECT substr(hex, 1, 8) || '-' || substr(hex, 9) AS ms
    FROM lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS hex
  ) AS clock, wanted
  ORDER BY nth
  RETURNING webhook_id, lane
), woken AS (
  UPDATE webhook_lane l SET due_at = least(coalesce(l.due_at, now()), now()), wakes = l.wakes + 1
  FROM (SELECT DISTINCT webhook_id, lane FROM made) AS m
  WHERE l.webhook_id = m.webhook_id AND l.lane = m.lane
), noted AS (
  INSERT INTO webhook_erasure (conversation_id, organization_id)
  SELECT conversation_id, organization_id FROM fresh
  WHERE type = 'ConversationDeleted' AND replayed IS NULL
    AND EXISTS (SELECT FROM webhook_delivery d WHERE d.conversation_id = fresh.conversation_id)
  ON CONFLICT (conversation_id) DO UPDATE SET organization_id = excluded.organization_id RETURNING 1
)
SELECT (SELECT beat FROM moved) AS beat, (SELECT count(*) FROM made)::int AS made, (SELECT count(*) FROM noted)::int AS erasures,
  ${awaitedSql} AS awaited`;
