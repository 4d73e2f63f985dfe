import type { Pool } from '../db.ts';
import { promptRoles } from '../access/visibility.ts';
import type { TurnMessage } from '../agents/runtime.ts';
import type { TurnSource } from '../agents/turn.ts';
import { attachmentOfTurn, type AttachmentRow, attachmentsJson } from '../attachments/of-turn.ts';
import type { Storage } from '../storage/storage.ts';
import { absenceAt, attendanceOf } from '../inboxes/attendance.ts';
import type { JsonObject } from '../json.ts';

/** The most messages in the history of a turn. */
const HISTORY = 200;

/** The turn that a reply is generated from, with its runtime and its agent. */
export interface LoadedTurn extends TurnSource {
  runtime: string;
  agentId: string;
}

/** Loads a turn whose history takes at most `historyBytes`, in one statement. Null if the reply is no longer running. */
export async function loadTurn(
  { pool, storage }: { pool: Pool; storage: Pick<Storage, 'read'> },
  replyId: string,
  historyBytes: number,
): Promise<LoadedTurn | null> {
  const { rows } = await pool.query<ReplyRow>({
    name: 'load-turn',
    text: turnSql,
    values: [replyId, HISTORY, historyBytes, promptRoles],
  });
  const [row] = rows;
  if (!row) return null;
  const { timeZone, hours, awayMessage, history, searchMetadata, ...reply } = row;
  const absence = absenceAt(attendanceOf({ timeZone, hours, awayMessage }), new Date());
  return { ...reply, absence, history: history.map((message) => messageOf(storage, message, searchMetadata)) };
}

interface ReplyRow extends Omit<LoadedTurn, 'history' | 'absence'> {
  searchMetadata: JsonObject;
  /** Of the inbox; null without one. */
  timeZone: string | null;
  hours: unknown;
  awayMessage: string | null;
  /** Oldest first. */
  history: HistoryRow[];
}

interface HistoryRow {
  id: string;
  role: (typeof promptRoles)[number];
  metadata: JsonObject;
  queryMetadata: JsonObject | null;
  /** The text, cut to as many characters as bytes are left for it. */
  text: string;
  /** Size of the whole text in bytes. */
  bytes: number;
  /** Bytes that are left for the text. */
  left: number;
  /** Null: none. */
  attachments: AttachmentRow[] | null;
}

function messageOf(
  storage: Pick<Storage, 'read'>,
  { id, role, metadata, queryMetadata, attachments, ...row }: HistoryRow,
  searchMetadata: JsonObject,
): TurnMessage {
  const search = { ...searchMetadata, ...queryMetadata };
  return {
    id,
    role,
    text: withinBudget(row),
    metadata,
    ...(attachments && { attachments: attachments.map((attachment) => attachmentOfTurn(storage, attachment)) }),
    queryMetadata: Object.keys(search).length > 0 ? search : null,
  };
}

/** The beginning of a text that is too long, with a mark that says so. */
function withinBudget({ text, bytes, left }: Pick<HistoryRow, 'text' | 'bytes' | 'left'>): string {
  if (bytes <= left) return text;
  // Drops a character that was cut in two.
  const kept = new TextDecoder().decode(Buffer.from(text).subarray(0, left), { stream: true });
  return `${kept}\n[Cut here: ${bytes - Buffer.byteLength(kept)} more bytes are not shown.]`;
}

/**
 * The history is read newest first, until the budget is used up. The last text that fits partly is cut. The newest message is always
 * included, however large its metadata. For a text that is not loaded, only its stored length is read.
 */
const turnSql = /* sql */ `
WITH reply AS MATERIALIZED (
  SELECT c.id, c.organization_id, c.search_metadata, m.position, a.id AS agent_id, a.name, a.runtime, a.system_prompt AS agent_prompt,
    c.system_prompt AS conversation_prompt, a.greeting, c.playbook, c.phase, c.system_message, c.context, a.playbooks, a.tools,
    m.runtime_parameters, coalesce(c.corpus_id, a.corpus_id) AS corpus_id, i.time_zone, i.hours, i.away_message
  FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN agent a ON a.id = c.agent_id
    LEFT JOIN inbox i ON i.id = c.inbox_id
  WHERE m.id = $1 AND c.generating_message_id = m.id
), recent AS (
  SELECT id, position, role, metadata, query_metadata FROM message m
  WHERE conversation_id = (SELECT id FROM reply) AND position < (SELECT position FROM reply)
    AND role = ANY($4::"MessageRole"[]) AND erased_at IS NULL
    AND NOT EXISTS (SELECT FROM message newer WHERE newer.supersedes_id = m.id)
  ORDER BY position DESC LIMIT $2
), weighed AS (
  SELECT recent.*, octet_length(metadata::text) + coalesce(octet_length(query_metadata::text), 0) AS beside,
    coalesce((SELECT sum(octet_length(f.text)) FROM fragment f WHERE f.message_id = recent.id), 0) AS bytes
  FROM recent
), placed AS (
  SELECT weighed.*, $3::int8 - sum(beside + bytes) OVER (ORDER BY position DESC) + bytes AS room,
    position = max(position) OVER () AS newest
  FROM weighed
), history AS (
  SELECT coalesce(json_agg(json_build_object('id', id, 'role', role, 'metadata', metadata, 'queryMetadata', query_metadata,
    'bytes', bytes, 'left', greatest(room, 0), 'attachments', ${attachmentsJson('placed.id')},
    'text', coalesce((SELECT left(string_agg(f.text, '' ORDER BY f.index), greatest(room, 0)::int) FROM fragment f
      WHERE f.message_id = placed.id), '')) ORDER BY position), '[]') AS messages
  FROM placed WHERE room >= 0 OR newest
)
SELECT r.id AS "conversationId", r.organization_id AS "organizationId", r.search_metadata AS "searchMetadata",
  r.agent_id AS "agentId", r.name AS "agentName", r.runtime, r.agent_prompt AS "agentPrompt",
  r.conversation_prompt AS "conversationPrompt", r.greeting, r.playbook, r.phase, r.system_message AS "systemMessage", r.context,
  r.playbooks, r.tools, r.runtime_parameters AS parameters, r.corpus_id AS "corpusId", r.time_zone AS "timeZone", r.hours,
  r.away_message AS "awayMessage", history.messages AS history
FROM reply r, history`;
