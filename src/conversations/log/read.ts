/**
 * What is read of the log and of fragments. For the places that a new type of event touches see the head of `append.ts`.
 */
import type { Pool } from '../../db.ts';
import type { Author } from '../../access/caller.ts';
import type { CallVisibility } from '../../access/visible-calls.ts';
import type { EventType, FragmentKind, FragmentStatus } from '../../generated/prisma/enums.ts';
import type { Json, JsonObject } from '../../json.ts';

/** One row of the log. */
export interface LogEvent {
  type: EventType;
  version: number;
  occurredAt: Date;
  actor: Author;
  messageId: string | null;
  handoffId: string | null;
  data: Json;
  /** The epoch in which the event was written. */
  epoch: number;
  /** Whether this MessageCreated starts a generated reply. */
  beginsReply: boolean;
}

/** A fragment with all the text stored so far. */
export interface FragmentRow {
  messageId: string;
  index: number;
  kind: FragmentKind;
  status: FragmentStatus;
  text: string;
  name: string | null;
  args: Json;
  callIndex: number | null;
  response: Json;
  failed: boolean;
  metadata: JsonObject;
  visibility: CallVisibility;
}

/** A `LogEvent`, of a row `e`. */
const eventSql = /* sql */ `e.type, e.version, e.occurred_at AS "occurredAt", e.actor, e.message_id AS "messageId",
  e.handoff_id AS "handoffId", e.data, e.epoch,
  e.type = 'MessageCreated' AND coalesce(e.data @> '{"reply": true}', false) AS "beginsReply"`;

/** Events in `(after, upTo]`, oldest first, at most `limit`. */
export async function readEvents(
  pool: Pool,
  conversationId: string,
  after: number,
  upTo: number,
  limit: number,
): Promise<LogEvent[]> {
  const { rows } = await pool.query<LogEvent>({
    name: 'read-events',
    text: `SELECT ${eventSql} FROM event e WHERE conversation_id = $1 AND version > $2 AND version <= $3 ORDER BY version LIMIT $4`,
    values: [conversationId, after, upTo, limit],
  });
  return rows;
}

/** An event with the reply that is running right after it. */
export interface LogEventInPlace extends LogEvent {
  runningReplyVersion: number | null;
}

/** A page of the log between two versions, in the order asked for. */
export async function readLogPage(
  pool: Pool,
  conversationId: string,
  page: { after: number; before: number; limit: number; inverted: boolean },
): Promise<LogEventInPlace[]> {
  const { rows } = await pool.query<LogEventInPlace>(
    `${inPlaceSql}
      WHERE e.conversation_id = $1 AND e.version > $2 AND e.version < $3
      ORDER BY e.version ${page.inverted ? 'DESC' : 'ASC'} LIMIT $4`,
    [conversationId, page.after, page.before, page.limit],
  );
  return rows;
}

/** The rows of the log with these `seq`, by their `seq`. Those of a conversation that was deleted meanwhile are missing. */
export async function readEventsBySeq(pool: Pool, seqs: readonly string[]): Promise<Map<string, LogEventInPlace>> {
  const { rows } = await pool.query<LogEventInPlace & { seq: string }>({
    name: 'read-events-by-seq',
    text: `${inPlaceSql} WHERE e.seq = ANY($1::bigint[])`,
    values: [seqs],
  });
  return new Map(rows.map((row) => [row.seq, row]));
}

const inPlaceSql = /* sql */ `SELECT ${eventSql}, e.seq::text AS seq, turn.version AS "runningReplyVersion"
  FROM event e LEFT JOIN LATERAL (
    SELECT version, type FROM event
    WHERE conversation_id = e.conversation_id AND version <= e.version
      AND (type = 'MessageCompleted' OR (type = 'MessageCreated' AND data @> '{"reply": true}'))
    ORDER BY version DESC LIMIT 1
  ) turn ON turn.type = 'MessageCreated'`;

/**
 * Fragments of messages with their text so far, ordered by message and index. In one statement, so that a reply that ends meanwhile has its
 * text either in chunks or in the fragment.
 */
export async function readFragments(pool: Pool, messageIds: readonly string[]): Promise<FragmentRow[]> {
  const { rows } = await pool.query<FragmentRow>({
    name: 'read-fragments',
    text: fragmentsSql('true'),
    values: [messageIds],
  });
  return rows;
}

/** Like `readFragments`, with their size in bytes. If it exceeds `most`, only the size is read. */
export async function readFragmentsWithin(
  pool: Pool,
  messageIds: readonly string[],
  most: number,
): Promise<{ rows: FragmentRow[]; bytes: number }> {
  const { rows } = await pool.query<(FragmentRow | NoFragment) & { bytes: number }>({
    name: 'read-fragments-within',
    text: `WITH weighed AS (
        SELECT (coalesce((SELECT sum(octet_length(text) + octet_length(metadata::text)
              + coalesce(octet_length(args::text), 0) + coalesce(octet_length(response::text), 0))
            FROM fragment WHERE message_id = ANY($1::uuid[])), 0)
          + coalesce((SELECT sum(octet_length(reversed)) FROM chunk WHERE message_id = ANY($1::uuid[])), 0))::int8 AS bytes
      )
      SELECT weighed.bytes::float8 AS bytes, shown.*
      FROM weighed LEFT JOIN LATERAL (${fragmentsSql('weighed.bytes <= $2')}) shown ON true ORDER BY "messageId", index`,
    values: [messageIds, most],
  });
  // A row without a fragment has only the size.
  const fragments = rows.filter((row) => row.messageId !== null);
  return { rows: fragments, bytes: rows[0]?.bytes ?? 0 };
}

/** The row of an outer join without a fragment. */
interface NoFragment {
  messageId: null;
}

const fragmentsSql = (condition: string) => /* sql */ `
SELECT f.message_id AS "messageId", f.index, f.kind, f.status, f.name, f.args, f.call_index AS "callIndex",
  f.response, f.failed, f.metadata, f.visibility,
  f.text || coalesce((SELECT string_agg(reverse(c.reversed), '' ORDER BY c."offset") FROM chunk c
    WHERE c.message_id = f.message_id AND c.fragment_index = f.index), '') AS text
FROM fragment f WHERE f.message_id = ANY($1::uuid[]) AND ${condition} ORDER BY f.message_id, f.index`;

/** The version of a conversation's log, and the reply that is running at it. */
export interface Head {
  organizationId: string;
  version: number;
  runningReplyId: string | null;
  runningReplyVersion: number | null;
  deleted: boolean;
  /** The current epoch of the database. */
  epoch: number;
}

/** A deleted conversation keeps the version of its last event. Null if there was never such a conversation. */
export async function readHead(pool: Pool, conversationId: string): Promise<Head | null> {
  const { rows } = await pool.query<Head>({
    name: 'read-head',
    text: `SELECT organization_id AS "organizationId", version, generating_message_id AS "runningReplyId",
        generating_version AS "runningReplyVersion", false AS deleted, current_epoch() AS epoch
      FROM conversation WHERE id = $1
      UNION ALL
      SELECT organization_id, version, NULL, NULL, true, current_epoch() FROM event WHERE conversation_id = $1 AND type = 'ConversationDeleted'`,
    values: [conversationId],
  });
  return rows[0] ?? null;
}

/** How much is stored of a conversation. */
export interface Extent {
  version: number;
  /** Of the reply that is running at that version, 0 without one: its fragments, those of them that are done, and their text in UTF-16 code units. */
  fragments: number;
  done: number;
  units: number;
}

/** How much is stored of these conversations, without those that are deleted. */
export async function readExtents(pool: Pool, conversationIds: readonly string[]): Promise<Map<string, Extent>> {
  const { rows } = await pool.query<Extent & { id: string }>({
    name: 'read-extents',
    text: `SELECT c.id, c.version, reply.*
      FROM conversation c, LATERAL (
        SELECT count(*)::int AS fragments, count(*) FILTER (WHERE status = 'DONE')::int AS done,
          (coalesce(sum(units), 0)
            + coalesce((SELECT sum(units) FROM chunk WHERE message_id = c.generating_message_id), 0))::int AS units
        FROM fragment WHERE message_id = c.generating_message_id
      ) reply
      WHERE c.id = ANY($1::uuid[])`,
    values: [conversationIds],
  });
  return new Map(rows.map(({ id, ...extent }) => [id, extent]));
}
