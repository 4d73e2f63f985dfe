import type { Queryable } from '../../db.ts';
import { bytesOf, conversationJson, fragmentBytes, fragmentsJson, handoffJson, messageJson } from './columns.ts';
import { type RowIds, type Rows, type RowsAsJson, rowsOf } from './rows.ts';

/** Which rows to read for one of several. */
type Ids = Omit<RowIds, 'replyId'>;

/** Null: the conversation is deleted. `TOO_LARGE`: beyond what may be read together, so that it is to be read alone. */
export type RowsOrSize = Rows | null | 'TOO_LARGE';

type Found = { [K in 'conversation' | 'message' | 'handoff']: RowsAsJson[K] };

/** `readRows` for several, in their order, in one statement that reads about `most` bytes. */
export async function readRowsTogether(db: Queryable, ids: readonly Ids[], most: number): Promise<RowsOrSize[]> {
  const { rows } = await db.query<{ place: number } & (Found | { [K in keyof Found]: null })>({
    name: 'read-rows-together',
    text: togetherSql,
    values: [
      ids.map(({ conversationId }) => conversationId),
      ids.map(({ messageId }) => messageId ?? null),
      ids.map(({ handoffId }) => handoffId ?? null),
      ids.map(({ bare }) => !(bare ?? false)),
      most,
    ],
  });
  const all = ids.map((): RowsOrSize => null);
  for (const { place, conversation, message, handoff } of rows) {
    all[place - 1] = conversation === null ? 'TOO_LARGE' : rowsOf({ conversation, message, reply: null, handoff });
  }
  return all;
}

const sumOf = (row: string, columns: readonly string[]) =>
  columns.map((column) => bytesOf(`${row}.${column}`)).join(' + ');

/** What may be large of a conversation and of a message, beside its fragments. */
const large = {
  conversation: ['system_message', 'context', 'system_prompt', 'runtime_parameters', 'metadata', 'search_metadata'],
  message: ['metadata', 'content_payload', 'query_metadata', 'canvas', 'state_after', 'runtime_parameters'],
};

const togetherSql = /* sql */ `
WITH asked AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[])
    WITH ORDINALITY AS a(conversation_id, message_id, handoff_id, whole, place)
), weighed AS MATERIALIZED (
  SELECT a.*, sum(${sumOf('c', large.conversation)}
    + ${sumOf('m', large.message)} + CASE WHEN a.whole THEN ${fragmentBytes('m')} ELSE 0 END)
    OVER (ORDER BY a.place) AS bytes
  FROM asked a JOIN conversation c ON c.id = a.conversation_id LEFT JOIN message m ON m.id = a.message_id
)
SELECT w.place::int AS place, shown.*
FROM weighed w LEFT JOIN LATERAL (
  SELECT ${conversationJson('c')} AS conversation,
    (SELECT ${messageJson('m', { fragments: `CASE WHEN w.whole THEN ${fragmentsJson('m')} END` })} FROM message m
      WHERE m.id = w.message_id) AS message,
    (SELECT ${handoffJson('h')} FROM handoff h WHERE h.id = w.handoff_id) AS handoff
  FROM conversation c WHERE c.id = w.conversation_id AND w.bytes <= $5
) AS shown ON true`;
