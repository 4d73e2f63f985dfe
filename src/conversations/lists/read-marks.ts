import DataLoader from 'dataloader';
import type { Pool } from '../../db.ts';
import { type Caller, type Participant } from '../../access/caller.ts';
import { CONTACT, readerOf } from '../../access/person.ts';
import { takesPart } from '../log/takes-part.ts';

/** Where counting unread messages stops. */
export const MOST_UNREAD = 100;

/** Of how many of the latest messages the unread ones are counted. */
const LATEST = 1000;

/** SQL for whether a message is of the other side than the reader, and complete. `reader` is a parameter. */
const isOfOthers = (message: string, reader: string) => /* sql */ `${message}.role::text = CASE
    WHEN ${reader}::text = '${CONTACT}' THEN 'AGENT' ELSE 'USER' END AND ${message}.status <> 'IN_PROGRESS'
  AND NOT EXISTS (SELECT FROM message later WHERE later.supersedes_id = ${message}.id)`;

/** SQL for the position up to which a reader has read a conversation. */
const markOf = (conversation: string, reader: string) => /* sql */ `coalesce((
    SELECT position FROM read_mark WHERE conversation_id = ${conversation} AND reader = ${reader}::text), -1)`;

/** SQL for whether a conversation has messages that a reader has not read. `reader` is a parameter. */
export const hasUnread = (conversation: string, reader: string) => /* sql */ `EXISTS (SELECT FROM message m
  WHERE m.conversation_id = ${conversation} AND m.position > ${markOf(conversation, reader)} AND ${isOfOthers('m', reader)})`;

/** Reads marks and counts for one operation, those asked for together in one statement. */
export class ReadMarks {
  /** How many messages of the other side the viewer has not read, counted to 100. Null for a viewer without a mark. */
  readonly unread: DataLoader<string, number | null>;
  /** Up to which position the contact has read. */
  readonly ofContact: DataLoader<string, number | null>;

  constructor(pool: Pool, viewer: Pick<Caller, 'confinedTo' | 'operatorId'>) {
    const reader = readerOf(viewer);
    this.unread = loader(async (ids) => (reader === null ? new Map<string, number>() : countUnread(pool, reader, ids)));
    this.ofContact = loader((ids) => readMarks(pool, CONTACT, ids));
  }
}

function loader<T>(load: (ids: readonly string[]) => Promise<Map<string, T>>): DataLoader<string, T | null> {
  const batch = async (ids: readonly string[]) => {
    const found = await load([...new Set(ids)]);
    return ids.map((id) => found.get(id) ?? null);
  };
  // A subscription lives through many changes.
  return new DataLoader(batch, { cache: false });
}

async function countUnread(pool: Pool, reader: string, ids: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ id: string; unread: number }>({
    name: 'count-unread',
    text: `SELECT c.id, (SELECT count(*)::int FROM (SELECT FROM (
          SELECT * FROM message WHERE conversation_id = c.id AND position > ${markOf('c.id', '$2')}
          ORDER BY position DESC LIMIT ${LATEST}) m
        WHERE ${isOfOthers('m', '$2')} LIMIT ${MOST_UNREAD}) counted) AS unread
      FROM conversation c WHERE c.id = ANY($1::uuid[])`,
    values: [ids, reader],
  });
  return new Map(rows.map(({ id, unread }) => [id, unread]));
}

async function readMarks(pool: Pool, reader: string, ids: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ id: string; position: number }>({
    name: 'read-marks',
    text: 'SELECT conversation_id AS id, position FROM read_mark WHERE conversation_id = ANY($1::uuid[]) AND reader = $2',
    values: [ids, reader],
  });
  return new Map(rows.map(({ id, position }) => [id, position]));
}

/** What became of a mark. `end` is the position that the next message gets. Null if there is no such conversation. */
export interface Marking {
  end: number;
  /** Where the mark stands now. Null if it was never set. */
  position: number | null;
  moved: boolean;
}

/** Moves a mark forward, unless that lies beyond the end, in one statement. */
export async function moveMark(
  pool: Pool,
  mark: {
    conversationId: string;
    organizationId: string;
    participant: Participant | null;
    reader: string;
    position: number;
  },
): Promise<Marking | null> {
  const { rows } = await pool.query<Marking>({
    name: 'move-read-mark',
    text: `WITH found AS (
        SELECT id, next_position FROM conversation WHERE id = $1 AND organization_id = $2 AND ${takesPart('$3')}
      ), moved AS (
        INSERT INTO read_mark (conversation_id, reader, position)
        SELECT id, $4::text, $5::int FROM found WHERE $5::int < next_position
        ON CONFLICT (conversation_id, reader) DO UPDATE SET position = excluded.position
          WHERE read_mark.position < excluded.position
        RETURNING position
      )
      SELECT next_position AS "end", EXISTS (SELECT FROM moved) AS moved, coalesce((SELECT position FROM moved), (
        SELECT position FROM read_mark WHERE conversation_id = found.id AND reader = $4::text)) AS position FROM found`,
    values: [
      mark.conversationId,
      mark.organizationId,
      mark.participant && JSON.stringify(mark.participant),
      mark.reader,
      mark.position,
    ],
  });
  return rows[0] ?? null;
}
