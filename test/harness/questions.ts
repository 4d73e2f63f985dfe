import type { Pool } from '../../src/db.ts';
import { newId } from '../../src/ids.ts';

export interface Asked {
  question: string;
  answer?: string;
  at: Date;
}

/** Stores a conversation of the organization with questions and their answers, as they would be after their replies. */
export async function addQuestions(pool: Pool, organizationId: string, asked: readonly Asked[]): Promise<string> {
  const conversationId = newId();
  await pool.query(
    `INSERT INTO conversation (id, organization_id, agent_id, next_position)
      SELECT $1, $2, id, $3 FROM agent WHERE organization_id = $2 LIMIT 1`,
    [conversationId, organizationId, asked.length * 2],
  );
  for (const [n, { question, answer, at }] of asked.entries()) {
    const ids = [newId(), newId()];
    await pool.query(addMessage, [ids[0], conversationId, organizationId, n * 2, 'USER', null, at, question]);
    if (answer === undefined) continue;
    await pool.query(addMessage, [ids[1], conversationId, organizationId, n * 2 + 1, 'AGENT', ids[0], at, answer]);
  }
  return conversationId;
}

const addMessage = `WITH message AS (
    INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, in_reply_to_id, created_at, completed_at)
    VALUES ($1, $2, $3, $4, $5::"MessageRole", '{}', 'DONE', 1, $6, $7, $7) RETURNING id
  ) INSERT INTO fragment (message_id, index, kind, status, text, units) SELECT id, 0, 'TEXT', 'DONE', $8, length($8) FROM message`;

/** Stores so many questions with answers, a second apart, in one statement. Their texts begin with a number. No search finds them. */
export async function addManyQuestions(pool: Pool, organizationId: string, count: number): Promise<void> {
  const [{ id: conversationId } = { id: '' }] = (
    await pool.query<{ id: string }>(
      `INSERT INTO conversation (id, organization_id, agent_id, next_position)
        SELECT gen_random_uuid(), $1, id, $2 FROM agent WHERE organization_id = $1 LIMIT 1 RETURNING id`,
      [organizationId, count * 2],
    )
  ).rows;
  await pool.query('ALTER TABLE fragment DISABLE TRIGGER search_text_of_fragment');
  await pool.query(
    `WITH numbers AS (SELECT n, ${risingId('2 * n')} AS question, ${risingId('2 * n + 1')} AS answer FROM generate_series(0, $3 - 1) n),
    asked AS (
      INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, created_at, completed_at)
      SELECT question, $2, $1, 2 * n, 'USER', '{}', 'DONE', 1, timestamptz '2026-01-01' + n * interval '1 second', now() FROM numbers
    ), answered AS (
      INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, in_reply_to_id, created_at, completed_at)
      SELECT answer, $2, $1, 2 * n + 1, 'AGENT', '{}', 'DONE', 1, question, timestamptz '2026-01-01' + n * interval '1 second', now() FROM numbers
    )
    INSERT INTO fragment (message_id, index, kind, status, text, units)
    SELECT message_id, 0, 'TEXT', 'DONE', text, 0 FROM numbers, LATERAL (
      VALUES (question, '=' || n || ' plus what, "exactly"?'), (answer, n || E' plus nothing,\n and so on')) AS said(message_id, text)`,
    [organizationId, conversationId, count],
  );
  await pool.query('ALTER TABLE fragment ENABLE TRIGGER search_text_of_fragment');
}

/** An id that is greater than those of lesser numbers, as ids made later are. */
const risingId = (n: string) => `(lpad(to_hex(${n}), 12, '0') || '7' || substr(md5(random()::text), 1, 19))::uuid`;
