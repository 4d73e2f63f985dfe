import type pg from 'pg';
import { inTransaction } from '../../db.ts';
import { UnavailableError } from '../../errors.ts';
import { errorCode } from '../../postgres/error-code.ts';
import { Semaphore } from '../../semaphore.ts';
import { decodeEventPosition, encodeEventPosition, type EventPosition } from '../log/tail.ts';
import { type LogChange, movingEvents } from './log-tail.ts';

/** For how long after a change a live list can still be resumed from before it, in minutes. */
const RESUMABLE_MINUTES = 60;

/** How many conversations may have changed meanwhile. */
const MOST_CHANGED = 10_000;

/** How long the statement that finds them may take, in milliseconds. */
const STATEMENT_MS = 3000;

/** Searches for missed changes that run at the same time on one server. */
const turns = new Semaphore(2);

/** PostgreSQL's error code for a statement that took too long. */
const QUERY_CANCELED = '57014';

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
 * @throws {UnavailableError} if finding out takes too long.
 */
export async function readMissedChanges(
  pool: pg.Pool,
  organizationId: string,
  { epoch, told }: EventPosition,
): Promise<MissedChanges | null> {
  try {
    const { changes, until, isOld } = await turns.run(() =>
      inTransaction(pool, async (db) => {
        await db.query(`SET LOCAL statement_timeout = ${STATEMENT_MS}`);
        const head = await db.query<{ isOld: boolean }>({ text: headSql, values: [epoch, told] });
        if (head.rows[0]?.isOld !== false) return { changes: [], until: null, isOld: true };
        // Not prepared: a generic plan, which does not know the snapshot, would scan every event.
        const { rows } = await db.query<{ until: string; change: LogChange | null }>({
          text: missedSql,
          values: [epoch, told, organizationId, movingEvents, MOST_CHANGED + 1],
        });
        return { changes: rows.flatMap(({ change }) => change ?? []), until: rows[0]?.until ?? null, isOld: false };
      }),
    );
    if (isOld || until === null || changes.length > MOST_CHANGED) return null;
    return { changes, position: { epoch, told: until, telling: null, seq: '0' } };
  } catch (error) {
    if (errorCode(error) !== QUERY_CANCELED) throw error;
    throw new UnavailableError('It took too long to find out what has changed. Read the list again.', 1, {
      cause: error,
    });
  }
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
