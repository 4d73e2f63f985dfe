import type { Pool } from '../../db.ts';
import type { EventType } from '../../generated/prisma/enums.ts';

/**
 * A place in the log of all conversations, for consumers that must receive each event once. It is a snapshot: events
 * visible in it have been delivered. The highest `seq` would not do, since writers commit in a different order.
 */
export interface EventPosition {
  epoch: number;
  /** All events visible in this PostgreSQL snapshot have been delivered. */
  told: string;
  /** The snapshot that is being delivered in pages. Null between two snapshots. */
  telling: string | null;
  /** The `seq` of the last event delivered from `telling`, as decimal digits. */
  seq: string;
}

/** An event of any conversation. */
export interface TailEvent {
  seq: string;
  conversationId: string;
  organizationId: string;
  version: number;
  type: EventType;
  messageId: string | null;
  handoffId: string | null;
  /** For ConversationDeleted: whose the conversation was. */
  contactId: string | null;
  occurredAt: Date;
}

/** Before the first event. */
export const beginning: EventPosition = { epoch: 0, told: '1:1:', telling: null, seq: '0' };

/** Right after everything that is committed now. */
export async function readEnd(pool: Pool): Promise<EventPosition> {
  const { rows } = await pool.query<{ epoch: number; told: string }>({
    name: 'read-log-end',
    text: 'SELECT current_epoch() AS epoch, pg_current_snapshot()::text AS told',
  });
  if (!rows[0]) throw new Error('the log has no end');
  return { ...rows[0], telling: null, seq: '0' };
}

/** The events after a position, in the order of the log, at most `limit`, and the position after them. */
export interface TailPage {
  events: TailEvent[];
  position: EventPosition;
  /** The snapshot that the page was read with. */
  until: string;
  /** Whether more events may be available now. */
  more: boolean;
}

/**
 * Reads on from a position. Each committed event is delivered once, those of one conversation ordered by version, and no open
 * transaction, here or in another database, delays those of others.
 *
 * Must not run in a transaction that has written events, which would not count itself as open, nor on a standby, whose
 * snapshots do not name the open transactions. To act on events exactly once, store the position in the transaction of the
 * effect. After a failover that lost transactions, consumers may have received events that no longer exist.
 */
export async function readTail(pool: Pool, position: EventPosition, limit: number): Promise<TailPage> {
  const { epoch, told, telling, seq } = position;
  // After the first of several pages `seq` is near the next row.
  const isUnderWay = telling !== null && seq !== '0';
  // Not prepared: a generic plan, which does not know the snapshot, would scan every event.
  const { rows } = await pool.query<Row>({
    text: epoch === 0 ? oldSql : told === beginning.told || isUnderWay ? backlogSql : freshSql,
    values: [told, telling, seq, limit, epoch],
  });
  const [first] = rows;
  if (!first || first.isStandby) throw new Error('the log can be followed on the primary database only');
  const { until, next } = first;
  const events = rows.flatMap(({ event }) => (event ? [{ ...event, occurredAt: new Date(event.occurredAt) }] : []));
  const last = events.at(-1);
  if (last && events.length === limit) {
    return { events, position: { ...position, telling: until, seq: last.seq }, until, more: true };
  }
  // Nothing is written to an earlier epoch any more, so what has been seen of it is complete.
  if (next !== null) return { events, position: { ...beginning, epoch: next }, until, more: true };
  return { events, position: { epoch, told: until, telling: null, seq: '0' }, until, more: telling !== null };
}

interface Row {
  until: string;
  isStandby: boolean;
  /** The epoch after one that is over. */
  next: number | null;
  event: (Omit<TailEvent, 'occurredAt'> & { occurredAt: string }) | null;
}

/** Encodes a position in its opaque form. */
export function encodeEventPosition({ epoch, told, telling, seq }: EventPosition): string {
  return Buffer.from([epoch, told, telling ?? '', seq].join('/')).toString('base64url');
}

/** No position has this many characters, though it names the transactions that were open at it. A longer one is not decoded. */
const MAX_POSITION = 65_536;

/** Decodes a position. Null if it is malformed. */
export function decodeEventPosition(text: string): EventPosition | null {
  if (text.length > MAX_POSITION) return null;
  const fields = Buffer.from(text, 'base64url').toString('latin1').split('/');
  const [epoch, told, telling, seq] = fields;
  if (fields.length !== 4 || epoch === undefined || told === undefined || telling === undefined || seq === undefined) {
    return null;
  }
  if (!/^\d{1,9}$/.test(epoch) || !/^\d{1,18}$/.test(seq) || !isSnapshot(told)) return null;
  if (telling !== '' && !isSnapshot(telling)) return null;
  return { epoch: Number(epoch), told, telling: telling || null, seq };
}

/** Whether PostgreSQL takes it: `xmin:xmax:` and the open transactions, which rise, from xmin on and below xmax. */
function isSnapshot(text: string): boolean {
  const [, low, high, open] = /^(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)$/.exec(text) ?? [];
  if (low === undefined || high === undefined || open === undefined) return false;
  const [min, max] = [BigInt(low), BigInt(high)];
  if (min <= 0n || min > max) return false;
  let last = min;
  for (const id of open === '' ? [] : open.split(',').map(BigInt)) {
    if (id < last || id >= max) return false;
    last = id;
  }
  return true;
}

/** Delivery ends with this snapshot. An epoch that is over is delivered to its end, whatever its transaction ids. */
const asked = `SELECT coalesce($2::pg_snapshot, pg_current_snapshot()) AS until, current_epoch() > $5::int AS is_over`;

const paged = (fresh: string) => /* sql */ `
WITH asked AS MATERIALIZED (${asked}),
${fresh}
SELECT asked.until::text AS until, pg_is_in_recovery() AS "isStandby",
  CASE WHEN asked.is_over THEN coalesce(
    (SELECT min(epoch) FROM event WHERE epoch > greatest($5::int, 0) AND epoch > 0), current_epoch()) END AS next,
  CASE WHEN e.seq IS NOT NULL THEN jsonb_build_object('seq', e.seq::text, 'conversationId', e.conversation_id,
    'organizationId', e.organization_id, 'version', e.version, 'type', e.type, 'messageId', e.message_id,
    'handoffId', e.handoff_id, 'contactId', CASE WHEN e.type = 'ConversationDeleted' THEN e.data->>'contactId' END,
    'occurredAt', e.occurred_at) END AS event
FROM asked LEFT JOIN (page JOIN event e USING (seq)) ON true
ORDER BY e.seq`;

const visible = '(asked.is_over OR pg_visible_in_snapshot(event.xid, asked.until))';

/** Rows written before epochs existed. The migration that gave them this epoch waited for their writers. */
const oldSql = paged(`page AS (
  SELECT seq FROM event WHERE seq > $3 AND epoch = 0 AND $1::text IS NOT NULL ORDER BY seq LIMIT $4
)`);

/** From the beginning of an epoch, or on from a page. Reads by `seq`, which finds the next page without scanning all later rows. */
const backlogSql = paged(`page AS (
  SELECT event.seq FROM asked, event
  WHERE event.epoch = $5 AND event.seq > $3 AND ${visible} AND NOT pg_visible_in_snapshot(event.xid, $1::pg_snapshot)
  ORDER BY event.seq LIMIT $4
)`);

/** Two parts, because PostgreSQL would not use the index for an OR. */
const freshSql = paged(`fresh AS MATERIALIZED (
  SELECT event.seq FROM asked, event
  WHERE event.epoch = $5 AND event.epoch > 0 AND event.xid >= pg_snapshot_xmax($1::pg_snapshot)
    AND event.seq > $3 AND ${visible}
  UNION ALL
  SELECT event.seq FROM asked, event
  WHERE event.epoch = $5 AND event.epoch > 0 AND event.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::pg_snapshot)))
    AND event.seq > $3 AND ${visible}
), page AS (
  SELECT seq FROM fresh ORDER BY seq LIMIT $4
)`);
