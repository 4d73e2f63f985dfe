import type { Pool } from '../../db.ts';
import { type SearchLimits, SearchTurns } from '../../search-turns.ts';
import { decodeEventPosition, encodeEventPosition, type EventPosition } from '../log/tail.ts';
import { type LogChange, movingEvents } from './log-tail.ts';

/** For how long after a change a live list can still be resumed from before it, in minutes. */
const RESUMABLE_MINUTES = 60;

/** How many conversations may have changed meanwhile. */
const MOST_CHANGED = 10_000;

/** More than for other searches: after a restart all live lists are resumed at once, and most of them have missed little. */
const limits: Partial<SearchLimits> = {
  ofOneOrganization: 50,
  waiting: 100,
  tooLong: 'It took too long to find out what has changed. Read the list again.',
};

/** The turns in which live lists find out what they have missed. */
export const turnsOfMissedChanges = (pool: Pool): SearchTurns => new SearchTurns(pool, limits);

/** The place of a live list in the log, in its opaque form. What was being delivered in pages may be delivered again. */
export function encodeChangeCursor({ epoch, told }: EventPosition): string {
  return encodeEventPosition({ epoch, told, telling: null, seq: '0' });
}

/** Null if it is malformed. */
export function decodeChangeCursor(text: string): EventPosition | null {
  const position = decodeEventPosition(text);
  return position && position.telling === null && position.seq === '0' ? position : null;
}

/** What changed in an organization after a place, each conversation once, and the place after all of it. */
export interface MissedChanges {
  changes: LogChange[];
  position: EventPosition;
}

/**
 * What a live list has missed. Null if that is too much or too long ago: then its page has to be read again.
 * @throws {UnavailableError} if too many ask, or finding out takes too long.
 */
export async function readMissedChanges(
  turns: SearchTurns,
  organizationId: string,
  { epoch, told }: EventPosition,
): Promise<MissedChanges | null> {
  return turns.run(organizationId, async (db) => {
    const head = await db.query<{ isOld: boolean }>({ text: headSql, values: [epoch, told] });
    if (head.rows[0]?.isOld !== false) return null;
    // Not prepared: a generic plan, which does not know the snapshot, would scan every event.
    const { rows } = await db.query<{ until: string; change: LogChange | null }>({
      text: missedSql,
      values: [epoch, told, organizationId, movingEvents, MOST_CHANGED + 1],
    });
    const changes = rows.flatMap(({ change }) => change ?? []);
    const [first] = rows;
    if (!first || changes.length > MOST_CHANGED) return null;
    return { changes, position: { epoch, told: first.until, telling: null, seq: '0' } };
  });
}

/** What becomes visible after a snapshot: see `tail.ts`. */
const after = (columns: string, more = '') => /* sql */ `
  SELECT ${columns} FROM event WHERE epoch = $1 AND xid >= pg_snapshot_xmax($2::pg_snapshot) ${more}
  UNION ALL
  SELECT ${columns} FROM event WHERE epoch = $1 AND xid = ANY (ARRAY(SELECT pg_snapshot_xip($2::pg_snapshot))) ${more}`;

/** A list that has missed nothing for long is still good: what counts is the age of the first change that it has missed. */
const headSql = /* sql */ `
SELECT current_epoch() <> $1 OR pg_is_in_recovery() OR coalesce((
  SELECT occurred_at < now() - interval '${RESUMABLE_MINUTES} minutes' FROM event
  WHERE epoch = $1 AND xid >= pg_snapshot_xmax($2::pg_snapshot) ORDER BY xid, seq LIMIT 1
), false) AS "isOld"`;

const missedSql = /* sql */ `
WITH missed AS MATERIALIZED (${after('conversation_id, version, seq, type, data', 'AND organization_id = $3')}), changed AS (
  SELECT conversation_id, max(version) AS version, max(seq) AS seq, bool_or(type::text = ANY ($4)) AS moves,
    max(data->>'contactId') FILTER (WHERE type = 'ConversationDeleted') AS contact_id
  FROM missed GROUP BY conversation_id ORDER BY seq LIMIT $5
)
SELECT pg_current_snapshot()::text AS until, CASE WHEN e.seq IS NOT NULL THEN jsonb_build_object(
  'conversationId', e.conversation_id, 'organizationId', $3::uuid, 'version', e.version, 'moves', e.moves,
  'contactId', coalesce(c.contact_id::text, e.contact_id)) END AS change
FROM (SELECT) one LEFT JOIN (changed e LEFT JOIN conversation c ON c.id = e.conversation_id) ON true ORDER BY e.seq`;
