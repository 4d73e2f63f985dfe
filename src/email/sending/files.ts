import type { Pool } from '../../db.ts';
import { fileName } from '../../attachments/model.ts';
import { readWhole } from '../../attachments/read-whole.ts';
import type { Storage } from '../../storage/storage.ts';
import { letterLimits } from '../model.ts';
import type { LetterAttachment } from './compose.ts';

/** The files of a message that go with its letter, in their order, as many as fit into it, and the names of the others. */
export async function filesOfLetter(
  { pool, storage }: { pool: Pool; storage: Pick<Storage, 'read'> },
  messageId: string,
): Promise<{ files: LetterAttachment[]; leftOut: string[] }> {
  const { rows } = await pool.query<{ filename: string; contentType: string; bytes: number; fileId: string }>({
    name: 'files-of-letter',
    text: `SELECT filename, content_type AS "contentType", bytes, file_id AS "fileId" FROM attachment
      WHERE message_id = $1 AND status = 'READY' AND deleted_at IS NULL ORDER BY place`,
    values: [messageId],
  });
  const files: LetterAttachment[] = [];
  const leftOut: string[] = [];
  let left: number = letterLimits.files;
  for (const { filename, contentType, bytes, fileId } of rows) {
    if (bytes > left) {
      leftOut.push(filename);
      continue;
    }
    left -= bytes;
    files.push({ filename, contentType, bytes: await readWhole(storage, fileName(fileId), bytes) });
  }
  return { files, leftOut };
}
