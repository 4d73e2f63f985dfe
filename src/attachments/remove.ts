import type pg from 'pg';
import type { Queryable } from '../db.ts';
import type { JobQueue } from '../jobs/queue.ts';
import { handle, type Handler, type Task } from '../jobs/task.ts';
import { type AttachmentServices, fileName } from './model.ts';

/** How many files are removed before the next are looked for. */
const BATCH = 100;

/** Which attachments, by row ids. One that any of the lists names is meant. */
export interface AttachmentsOf {
  attachmentIds?: readonly string[];
  /** Named in messages of these conversations. */
  conversationIds?: readonly string[];
  /** Named in these messages. */
  messageIds?: readonly string[];
  /** Uploaded by these people with client tokens, whatever names them. */
  contactIds?: readonly string[];
}

export const removeTask: Task<null> = { name: 'attachment.remove', lane: 'quick', read: () => null };

/**
 * Removes attachments: nobody sees them any more and their addresses end as soon as this is committed; a job then removes their files,
 * and the rows last. With `db`, the client of a transaction, all of this happens if and when it commits. Returns how many there were.
 */
export async function removeAttachments(
  { pool, jobs }: { pool: pg.Pool; jobs: JobQueue },
  organizationId: string,
  { attachmentIds = [], conversationIds = [], messageIds = [], contactIds = [] }: AttachmentsOf,
  db: Queryable = pool,
): Promise<number> {
  const { rows } = await db.query<{ removed: number }>({
    name: 'remove-attachments',
    text: `WITH gone AS MATERIALIZED (
        SELECT id, message_id FROM attachment
        WHERE organization_id = $1 AND deleted_at IS NULL AND (id = ANY($2::uuid[]) OR conversation_id = ANY($3::uuid[])
          OR message_id = ANY($4::uuid[]) OR contact_id = ANY($5::uuid[]))
        ORDER BY id FOR UPDATE
      ), sources AS (
        -- The letters that they came or went with have their bytes too.
        DELETE FROM letter_source WHERE letter_id IN (SELECT l.id FROM letter l JOIN gone ON gone.message_id = l.message_id)
      ), removed AS (
        UPDATE attachment SET ${REMOVED} WHERE id IN (SELECT id FROM gone) RETURNING id
      )
      SELECT count(*)::int AS removed FROM removed`,
    values: [organizationId, attachmentIds, conversationIds, messageIds, contactIds],
  });
  const removed = rows[0]?.removed ?? 0;
  if (removed > 0) await jobs.add(removeTask, null, { key: removeTask.name }, db);
  return removed;
}

/** What is left of the row until its file is removed. */
export const REMOVED = `deleted_at = now(), filename = '', uploader = '', contact_id = NULL, conversation_id = NULL,
  message_id = NULL, width = NULL, height = NULL`;

export function removeHandler(services: Pick<AttachmentServices, 'pool' | 'storage'>): Handler {
  return handle(removeTask, (_payload, { signal }) => removeFiles(services, signal));
}

/** Removes the files of removed attachments, and then their rows. */
export async function removeFiles(
  { pool, storage }: Pick<AttachmentServices, 'pool' | 'storage'>,
  signal: AbortSignal,
): Promise<void> {
  for (let isMore = true; isMore;) {
    signal.throwIfAborted();
    const { rows } = await pool.query<{ id: string; fileId: string | null }>(
      `SELECT id, file_id AS "fileId" FROM attachment WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT ${BATCH}`,
    );
    for (const { fileId } of rows) if (fileId !== null) await storage.remove(fileName(fileId));
    await pool.query({
      text: 'DELETE FROM attachment WHERE id = ANY($1::uuid[])',
      values: [rows.map(({ id }) => id)],
    });
    isMore = rows.length === BATCH;
  }
}
