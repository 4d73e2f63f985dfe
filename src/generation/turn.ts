import type pg from 'pg';
import type { Turn, TurnMessage } from '../agents/runtime.ts';
import { readFragments } from '../conversations/log.ts';
import type { MessageRole } from '../generated/prisma/enums.ts';
import type { Json, JsonObject } from '../json.ts';

/** The most messages that a turn looks back on. */
const HISTORY = 200;

/** What a reply is generated from, and by which runtime. Null when the reply is no longer running. */
export async function loadTurn(
  pool: pg.Pool,
  replyId: string,
): Promise<{ runtime: string; agentId: string; turn: Turn } | null> {
  const { rows } = await pool.query<ReplyRow>({ name: 'load-turn', text: turnSql, values: [replyId] });
  const row = rows[0];
  if (!row) return null;
  const { playbook, phase, systemMessage, context } = row;
  return {
    runtime: row.runtime,
    agentId: row.agentId,
    turn: {
      agentName: row.agentName,
      systemPrompt: [row.agentPrompt, row.conversationPrompt].filter(Boolean).join('\n\n') || null,
      greeting: row.greeting,
      state: { playbook, phase, systemMessage, context },
      history: await loadHistory(pool, row),
      parameters: row.parameters,
      corpusId: row.corpusId,
    },
  };
}

interface ReplyRow {
  conversationId: string;
  position: number;
  agentId: string;
  agentName: string;
  runtime: string;
  agentPrompt: string | null;
  conversationPrompt: string | null;
  greeting: string | null;
  playbook: string | null;
  phase: string | null;
  systemMessage: string | null;
  context: Json;
  parameters: JsonObject;
  corpusId: string | null;
}

async function loadHistory(pool: pg.Pool, reply: ReplyRow): Promise<TurnMessage[]> {
  const { rows } = await pool.query<{
    id: string;
    role: MessageRole;
    metadata: JsonObject;
    queryMetadata: JsonObject | null;
  }>({
    name: 'load-history',
    text: `SELECT id, role, metadata, query_metadata AS "queryMetadata" FROM message m
      WHERE conversation_id = $1 AND position < $2
        AND NOT EXISTS (SELECT FROM message newer WHERE newer.supersedes_id = m.id)
      ORDER BY position DESC LIMIT $3`,
    values: [reply.conversationId, reply.position, HISTORY],
  });
  const texts = new Map<string, string>();
  for (const fragment of await readFragments(
    pool,
    rows.map((row) => row.id),
  )) {
    texts.set(fragment.messageId, (texts.get(fragment.messageId) ?? '') + fragment.text);
  }
  return rows
    .reverse()
    .map(({ id, role, metadata, queryMetadata }) => ({ role, text: texts.get(id) ?? '', metadata, queryMetadata }));
}

const turnSql = /* sql */ `
SELECT c.id AS "conversationId", m.position, a.id AS "agentId", a.name AS "agentName", a.runtime,
  a.system_prompt AS "agentPrompt", c.system_prompt AS "conversationPrompt", a.greeting, c.playbook, c.phase,
  c.system_message AS "systemMessage", c.context, m.runtime_parameters AS parameters,
  coalesce(c.corpus_id, a.corpus_id) AS "corpusId"
FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN agent a ON a.id = c.agent_id
WHERE m.id = $1 AND c.generating_message_id = m.id`;
