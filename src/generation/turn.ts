import type pg from 'pg';
import type { TurnMessage } from '../agents/runtime.ts';
import type { TurnSource } from '../agents/turn.ts';
import { readFragments } from '../conversations/log/read.ts';
import type { MessageRole } from '../generated/prisma/enums.ts';
import type { JsonObject } from '../json.ts';

/** The most messages that a turn looks back on. */
const HISTORY = 200;

/** What a reply is generated from, and by which runtime of which agent. */
export interface LoadedTurn extends TurnSource {
  runtime: string;
  agentId: string;
}

/** Null when the reply is no longer running. */
export async function loadTurn(pool: pg.Pool, replyId: string): Promise<LoadedTurn | null> {
  const { rows } = await pool.query<ReplyRow>({ name: 'load-turn', text: turnSql, values: [replyId] });
  return rows[0] ? { ...rows[0], history: await loadHistory(pool, rows[0]) } : null;
}

type ReplyRow = Omit<LoadedTurn, 'history'> & { conversationId: string; position: number };

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
  c.system_message AS "systemMessage", c.context, a.playbooks, a.tools, m.runtime_parameters AS parameters,
  coalesce(c.corpus_id, a.corpus_id) AS "corpusId"
FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN agent a ON a.id = c.agent_id
WHERE m.id = $1 AND c.generating_message_id = m.id`;
