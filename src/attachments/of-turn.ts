import type pg from 'pg';
import type { TurnAttachment } from '../agents/runtime.ts';
import type { Storage } from '../storage/storage.ts';
import { fileName } from './model.ts';
import { readWhole } from './read-whole.ts';

/** The kinds of pictures that models take. */
const pictures: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
/** The largest picture that a model is shown, in bytes. */
const MAX_PICTURE = 4_000_000;

interface Row {
  messageId: string;
  filename: string;
  contentType: string;
  bytes: number;
  fileId: string;
}

/** What an agent is told of the attachments of these messages, by the message's row id. No file is read before somebody asks for it. */
export async function attachmentsOfTurn(
  { pool, storage }: { pool: pg.Pool; storage: Pick<Storage, 'read'> },
  messageIds: readonly string[],
): Promise<Map<string, TurnAttachment[]>> {
  const { rows } = await pool.query<Row>({
    name: 'attachments-of-turn',
    text: `SELECT message_id AS "messageId", filename, content_type AS "contentType", bytes, file_id AS "fileId" FROM attachment
      WHERE message_id = ANY($1::uuid[]) AND status = 'READY' AND deleted_at IS NULL ORDER BY place`,
    values: [messageIds],
  });
  const byMessage = new Map<string, TurnAttachment[]>();
  for (const { messageId, fileId, ...row } of rows) {
    const canRead = pictures.has(row.contentType) && row.bytes <= MAX_PICTURE;
    const attachment = { ...row, read: canRead ? () => readWhole(storage, fileName(fileId), row.bytes) : null };
    byMessage.set(messageId, [...(byMessage.get(messageId) ?? []), attachment]);
  }
  return byMessage;
}
