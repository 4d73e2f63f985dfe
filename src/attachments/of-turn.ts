import type { TurnAttachment } from '../agents/runtime.ts';
import type { Storage } from '../storage/storage.ts';
import { fileName } from './model.ts';
import { readWhole } from './read-whole.ts';

/** The kinds of pictures that models take. */
const pictures: ReadonlySet<string> = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
/** The largest picture that a model is shown, in bytes. */
const MAX_PICTURE = 4_000_000;

export interface AttachmentRow {
  filename: string;
  contentType: string;
  bytes: number;
  fileId: string;
}

/** SQL for the attachments of a message as JSON, in their order: rows for `attachmentOfTurn`. Null if there are none. */
export const attachmentsJson = (
  messageId: string,
) => /* sql */ `(SELECT json_agg(json_build_object('filename', filename,
    'contentType', content_type, 'bytes', bytes, 'fileId', file_id) ORDER BY place)
  FROM attachment WHERE message_id = ${messageId} AND status = 'READY' AND deleted_at IS NULL)`;

/** What an agent is told of an attachment. The file is not read before somebody asks for it. */
export function attachmentOfTurn(
  storage: Pick<Storage, 'read'>,
  { fileId, filename, contentType, bytes }: AttachmentRow,
): TurnAttachment {
  const canRead = pictures.has(contentType) && bytes <= MAX_PICTURE;
  return { filename, contentType, bytes, read: canRead ? () => readWhole(storage, fileName(fileId), bytes) : null };
}
