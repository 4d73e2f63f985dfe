import type pg from 'pg';
import { promptRoles } from '../access/visibility.ts';
import type { TurnMessage } from '../agents/runtime.ts';
import type { TurnSource } from '../agents/turn.ts';
import { attachmentsOfTurn } from '../attachments/of-turn.ts';
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

/** Loads a turn whose history takes at most `historyBytes`. Null if the reply is no longer running. */
export async function loadTurn(
  services: { pool: pg.Pool; storage: Pick<Storage, 'read'> },
  replyId: string,
  historyBytes: number,
): Promise<LoadedTurn | null> {
  const { pool } = services;
  const { rows } = await pool.query<ReplyRow>({ name: 'load-turn', text: turnSql, values: [replyId] });
  const [row] = rows;
  if (!row) return null;
  const { timeZone, hours, awayMessage, ...reply } = row;
  const absence = absenceAt(attendanceOf({ timeZone, hours, awayMessage }), new Date());
  return { ...reply, absence, history: await loadHistory(services, row, historyBytes) };
}

interface ReplyRow extends Omit<LoadedTurn, 'history' | 'absence'> {
  conversationId: string;
  position: number;
  searchMetadata: JsonObject;
  /** Of the inbox; null without one. */
  timeZone: string | null;
  hours: unknown;
  awayMessage: string | null;
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
}

async function loadHistory(
  services: { pool: pg.Pool; storage: Pick<Storage, 'read'> },
  reply: ReplyRow,
  historyBytes: number,
): Promise<TurnMessage[]> {
  const { rows } = await services.pool.query<HistoryRow>({
    name: 'load-history',
    text: historySql,
    values: [reply.conversationId, reply.position, HISTORY, historyBytes, promptRoles],
  });
  const attachments = await attachmentsOfTurn(
    services,
    rows.map(({ id }) => id),
  );
  return rows.reverse().map(({ id, role, metadata, queryMetadata, ...row }) => {
    const search = { ...reply.searchMetadata, ...queryMetadata };
    return {
      id,
      role,
      text: withinBudget(row),
      metadata,
      ...(attachments.has(id) && { attachments: attachments.get(id) ?? [] }),
      queryMetadata: Object.keys(search).length > 0 ? search : null,
    };
  });
}

/** The beginning of a text that is too long, with a mark that says so. */
function withinBudget({ text, bytes, left }: Pick<HistoryRow, 'text' | 'bytes' | 'left'>): string {
  if (bytes <= left) return text;
  // Drops a character that was cut in two.
  const kept = new TextDecoder().decode(Buffer.from(text).subarray(0, left), { stream: true });
  return `${kept}\n[Cut here: ${bytes - Buffer.byteLength(kept)} more bytes are not shown.]`;
}

const turnSql = /* sql */ `
SELECT c.id AS "conversationId", c.organization_id AS "organizationId", c.search_metadata AS "searchMetadata", m.position, a.id AS "agentId", a.name AS "agentName", a.runtime,
  a.system_prompt AS "agentPrompt", c.system_prompt AS "conversationPrompt", a.greeting, c.playbook, c.phase,
  c.system_message AS "systemMessage", c.context, a.playbooks, a.tools, m.runtime_parameters AS parameters,
  coalesce(c.corpus_id, a.corpus_id) AS "corpusId", i.time_zone AS "timeZone", i.hours, i.away_message AS "awayMessage"
FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN agent a ON a.id = c.agent_id
  LEFT JOIN inbox i ON i.id = c.inbox_id
WHERE m.id = $1 AND c.generating_message_id = m.id`;

/**
 * Newest first, until the budget is used up. The last text that fits partly is cut. The newest message is always included,
 * however large its metadata. For a text that is not loaded, only its stored length is read.
 */
const historySql = /* sql */ `
WITH recent AS (
  SELECT id, position, role, metadata, query_metadata FROM message m
  WHERE conversation_id = $1 AND position < $2 AND role = ANY($5::"MessageRole"[]) AND erased_at IS NULL
    AND NOT EXISTS (SELECT FROM message newer WHERE newer.supersedes_id = m.id)
  ORDER BY position DESC LIMIT $3
), weighed AS (
  SELECT recent.*, octet_length(metadata::text) + coalesce(octet_length(query_metadata::text), 0) AS beside,
    coalesce((SELECT sum(octet_length(f.text)) FROM fragment f WHERE f.message_id = recent.id), 0) AS bytes
  FROM recent
), placed AS (
  SELECT weighed.*, $4::int8 - sum(beside + bytes) OVER (ORDER BY position DESC) + bytes AS room,
    position = max(position) OVER () AS newest
  FROM weighed
)
SELECT id, role, metadata, query_metadata AS "queryMetadata", bytes::float8 AS bytes, greatest(room, 0)::float8 AS left,
  coalesce((SELECT left(string_agg(f.text, '' ORDER BY f.index), greatest(room, 0)::int) FROM fragment f
    WHERE f.message_id = placed.id), '') AS text
FROM placed WHERE room >= 0 OR newest ORDER BY position DESC`;
