import type { Queryable } from '../db.ts';
import { handle, type Handler, type Task } from '../jobs/task.ts';
import { type AttachmentServices, fileName } from './model.ts';

/** How many files are removed before the next are looked for. If none of so many goes, the storage is taken to be away. */
const BATCH = 100;

/** Which attachments, by row ids. One that any of the lists names is meant. */
export interface AttachmentsOf {
  attachmentIds?: readonly string[];
  /** Named in these messages. */
  messageIds?: readonly string[];
  /** Uploaded by these people with client tokens, whatever names them. */
  contactIds?: readonly string[];
}

export const removeTask: Task<null> = { name: 'attachment.remove', lane: 'quick', read: () => null };

/**
 * Removes attachments: nobody sees them any more and their addresses end as soon as this is committed. Their files go, and the rows
 * last, when the job runs: call `wakeRemoval` after the commit. `erasedWith` is the row id of the person whose erasure this is, which
 * waits for the files. Returns how many there were.
 */
export async function removeAttachments(
  db: Queryable,
  organizationId: string,
  { attachmentIds = [], messageIds = [], contactIds = [] }: AttachmentsOf,
  erasedWith: string | null = null,
): Promise<number> {
  const { rows } = await db.query<{ removed: number }>({
    name: 'remove-attachments',
    text: `WITH gone AS MATERIALIZED (
        SELECT id, message_id FROM attachment
        WHERE organization_id = $1 AND deleted_at IS NULL
          AND (id = ANY($2::uuid[]) OR message_id = ANY($3::uuid[]) OR contact_id = ANY($4::uuid[]))
        ORDER BY id FOR UPDATE
      ), sources AS (
        -- The letters that they came or went with have their bytes too.
        DELETE FROM letter_source WHERE letter_id IN (SELECT l.id FROM letter l JOIN gone ON gone.message_id = l.message_id)
      ), removed AS (
        UPDATE attachment SET ${REMOVED}, erased_with = $5 WHERE id IN (SELECT id FROM gone) RETURNING id
      )
      SELECT count(*)::int AS removed FROM removed`,
    values: [organizationId, attachmentIds, messageIds, contactIds, erasedWith],
  });
  return rows[0]?.removed ?? 0;
}

/** Removes those of these attachments that no message names, also if one is being committed right now. The sweep does it if this fails. */
export async function removeUnnamed(
  { pool, jobs, logger }: WakingServices & Pick<AttachmentServices, 'pool'>,
  organizationId: string,
  attachmentIds: readonly string[],
): Promise<void> {
  try {
    const { rowCount } = await pool.query({
      text: `UPDATE attachment SET ${REMOVED}
        WHERE organization_id = $1 AND id = ANY($2::uuid[]) AND message_id IS NULL AND named_at IS NULL AND deleted_at IS NULL`,
      values: [organizationId, attachmentIds],
    });
    if (rowCount) await wakeRemoval({ jobs, logger });
  } catch (error) {
    logger.warn({ err: error }, 'could not remove attachments that no message names; the sweep will');
  }
}

type WakingServices = Pick<AttachmentServices, 'jobs' | 'logger'>;

/**
 * Has the files of removed attachments removed soon. Never inside a transaction: all organizations share the row of this job, and would
 * wait for its end. The sweep does it if this fails.
 */
export async function wakeRemoval({ jobs, logger }: WakingServices): Promise<void> {
  await jobs.add(removeTask, null, { key: removeTask.name }).catch((error: unknown) => {
    logger.warn({ err: error }, 'could not have files removed; the sweep will');
  });
}

/** What is left of the row until its file is removed. */
export const REMOVED = `deleted_at = now(), filename = '', uploader = '', contact_id = NULL, conversation_id = NULL,
  message_id = NULL, width = NULL, height = NULL`;

type FileServices = Pick<AttachmentServices, 'pool' | 'storage' | 'logger'>;

export function removeHandler(services: FileServices): Handler {
  return handle(removeTask, (_payload, { signal }) => removeFiles(services, signal));
}

/**
 * Removes the files of removed attachments, and then their rows. With `erasedWith`, only those of that person's erasure. One that cannot
 * be removed keeps no other; this throws at the end then, so that it is tried again.
 */
export async function removeFiles(
  services: FileServices,
  signal: AbortSignal,
  erasedWith: string | null = null,
): Promise<void> {
  const { pool, logger } = services;
  let failed = 0;
  let after = '00000000-0000-0000-0000-000000000000';
  for (let isMore = true; isMore;) {
    signal.throwIfAborted();
    const { rows } = await pool.query<Removed>({
      text: `SELECT id, file_id AS "fileId" FROM attachment
        WHERE deleted_at IS NOT NULL AND id > $1 ${erasedWith === null ? '' : 'AND erased_with = $2'} ORDER BY id LIMIT ${BATCH}`,
      values: erasedWith === null ? [after] : [after, erasedWith],
    });
    const { gone, failure } = await removeEach(services, rows);
    await pool.query({ text: 'DELETE FROM attachment WHERE id = ANY($1::uuid[])', values: [gone] });
    const left = rows.length - gone.length;
    if (left > 0) logger.warn({ err: failure, files: left }, 'could not remove files; trying again later');
    failed += left;
    after = rows.at(-1)?.id ?? after;
    isMore = rows.length === BATCH && gone.length > 0;
  }
  if (failed > 0) throw new Error(`${failed} files could not be removed.`);
}

interface Removed {
  id: string;
  fileId: string | null;
}

async function removeEach({ storage }: FileServices, rows: readonly Removed[]) {
  const gone: string[] = [];
  let failure: unknown;
  for (const { id, fileId } of rows) {
    try {
      if (fileId !== null) await storage.remove(fileName(fileId));
      gone.push(id);
    } catch (error) {
      failure ??= error;
    }
  }
  return { gone, failure };
}
