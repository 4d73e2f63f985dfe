import type { Queryable } from '../../db.ts';
import type { Message } from '../../generated/prisma/client.ts';
import { bytesOf, messageColumn } from './columns.ts';

/** What of a message may be large, beside its fragments. Rows read by Prisma have none of it. */
export const companions = [
  'canvas',
  'contentPayload',
  'queryMetadata',
  'stateAfter',
] as const satisfies (keyof Message)[];

export type Companion = (typeof companions)[number];

/** What accompanies a message. */
export type Companions = Pick<Message, 'id' | Companion>;

/** The companions of messages, and how many bytes they have; if those are more than `most`, no rows. In one statement. */
export async function readCompanionsWithin(
  db: Queryable,
  messageIds: readonly string[],
  most: number,
): Promise<{ rows: Companions[]; bytes: number }> {
  const { rows } = await db.query<(Companions | { id: null }) & { bytes: number }>({
    name: 'read-companions-within',
    text: withinSql,
    values: [messageIds, most],
  });
  // A row without a message has only the size.
  return { rows: rows.filter((row) => row.id !== null), bytes: rows[0]?.bytes ?? 0 };
}

const withinSql = /* sql */ `
WITH weighed AS (
  SELECT coalesce(sum(${companions.map((field) => bytesOf(messageColumn('m', field))).join(' + ')}), 0)::float8 AS bytes
  FROM message m WHERE m.id = ANY($1::uuid[])
)
SELECT weighed.bytes, m.id, ${companions.map((field) => `${messageColumn('m', field)} AS "${field}"`).join(', ')}
FROM weighed LEFT JOIN message m ON m.id = ANY($1::uuid[]) AND weighed.bytes <= $2`;
