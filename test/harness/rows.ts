import type { Pool } from '../../src/db.ts';

const tables = ['conversation', 'message', 'fragment', 'chunk', 'event', 'idempotency', 'handoff'] as const;

/** How many rows there are of what commands write. */
export async function countRows(pool: Pool): Promise<Record<string, number>> {
  const counts = tables.map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`);
  const { rows } = await pool.query<Record<string, number>>(`SELECT ${counts.join()}`);
  return rows[0] ?? {};
}

/** The log of a conversation, by its row id. */
export async function readLog(pool: Pool, conversationUuid: string): Promise<{ version: number; type: string }[]> {
  const { rows } = await pool.query<{ version: number; type: string }>(
    'SELECT version, type FROM event WHERE conversation_id = $1 ORDER BY version',
    [conversationUuid],
  );
  return rows;
}

/** The row of a conversation, by its row id. */
export async function readConversationRow(pool: Pool, uuid: string): Promise<Record<string, unknown>> {
  const { rows } = await pool.query<Record<string, unknown>>('SELECT * FROM conversation WHERE id = $1', [uuid]);
  return rows[0] ?? {};
}
