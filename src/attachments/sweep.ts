import type { JobQueue } from '../jobs/queue.ts';
import { handle, type Handler, type Task } from '../jobs/task.ts';
import { type AttachmentServices, fileName, shardFolder, SHARDS, UNNAMED_SECONDS } from './model.ts';
import { OWNER, ownsFiles } from './owner.ts';
import { REMOVED, removeFiles } from './remove.ts';

/** How often it is looked for what is left over, in milliseconds. */
const EVERY_MS = 3_600_000;
/** Each folder is compared with the rows once in so many times. */
const TIMES = 24;
/** A file of an unknown attachment is left alone for so long, in milliseconds: its row may be about to name it. */
const YOUNG_MS = 86_400_000;
/** How long a file must have been missing before its attachment is removed, in hours. */
const MISSING_HOURS = 20;
const BATCH = 1000;

type Services = Pick<AttachmentServices, 'pool' | 'storage' | 'logger'>;

export const sweepTask: Task<null> = { name: 'attachment.sweep', lane: 'long', read: () => null };

/** Has left-overs looked for by and by, by one server at a time. `soon`: now, too. */
export function scheduleSweep(jobs: JobQueue, soon = false): Promise<void> {
  const runAt = new Date(Date.now() + (soon ? 0 : EVERY_MS));
  return jobs.add(sweepTask, null, { key: sweepTask.name, runAt, keepTime: soon });
}

export function sweepHandler(services: Services & Pick<AttachmentServices, 'jobs'>): Handler {
  return handle(sweepTask, async (_payload, { signal }) => {
    await scheduleSweep(services.jobs);
    if (!(await ownsFiles(services))) {
      const why = `the storage belongs to another database, so that nothing is swept; if that is gone, remove the file "${OWNER}"`;
      return services.logger.warn(why);
    }
    await removeLeftOver(services, signal);
    const turn = Math.floor(Date.now() / EVERY_MS) % TIMES;
    for (let shard = turn; shard < SHARDS; shard += TIMES) {
      signal.throwIfAborted();
      await compareShard(services, shard);
    }
  });
}

/** Removes what nobody has named in time, and what was named in a message that is gone. */
export async function removeLeftOver(services: Services, signal: AbortSignal): Promise<void> {
  for (let isMore = true; isMore;) {
    signal.throwIfAborted();
    const { rowCount } = await services.pool.query({
      text: `UPDATE attachment SET ${REMOVED} WHERE id IN (
          SELECT id FROM attachment WHERE message_id IS NULL AND deleted_at IS NULL
            AND (named_at IS NOT NULL OR created_at < now() - make_interval(secs => $1))
          ORDER BY created_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)`,
      values: [UNNAMED_SECONDS],
    });
    isMore = rowCount === BATCH;
  }
  await removeFiles(services, signal);
}

/**
 * Compares a folder with the rows. Removes files whose row is gone, and attachments whose file has been missing since the last time: a
 * storage that is wrongly set up must not cost a message its files at once.
 */
export async function compareShard({ pool, storage, logger }: Services, shard: number): Promise<void> {
  // The files come first: one that is stored meanwhile is then in the rows alone, and too young to be missed.
  const files = (await storage.list(shardFolder(shard))).filter(isFileId);
  const old = files.filter((fileId) => Date.now() - timeOf(fileId) > YOUNG_MS);
  const { rows: orphans } = await pool.query<{ fileId: string }>({
    text: `SELECT f AS "fileId" FROM unnest($1::uuid[]) f WHERE NOT EXISTS (
      SELECT FROM attachment a WHERE a.shard = $2 AND a.file_id = f)`,
    values: [old, shard],
  });
  for (const { fileId } of orphans) await storage.remove(fileName(fileId));
  if (orphans.length > 0) logger.info({ files: orphans.length }, 'removed files that no attachment names');
  await pool.query({
    text: `UPDATE attachment SET missing_since = NULL
      WHERE shard = $1 AND missing_since IS NOT NULL AND file_id = ANY($2::uuid[])`,
    values: [shard, files],
  });
  const { rows: missing } = await pool.query<{ id: string; fileId: string; known: boolean }>({
    text: `SELECT id, file_id AS "fileId", missing_since < now() - make_interval(hours => ${MISSING_HOURS}) IS TRUE AS known
      FROM attachment WHERE shard = $1 AND status = 'READY' AND deleted_at IS NULL AND ready_at < now() - interval '1 hour'
        AND file_id <> ALL($2::uuid[])`,
    values: [shard, files],
  });
  for (const { id, fileId, known } of missing) {
    if (await storage.exists(fileName(fileId))) continue;
    logger.warn(
      { attachmentId: id },
      known ? 'removed an attachment without a file' : 'the file of an attachment is missing',
    );
    const change = known ? REMOVED : 'missing_since = coalesce(missing_since, now())';
    await pool.query({ text: `UPDATE attachment SET ${change} WHERE id = $1 AND file_id = $2`, values: [id, fileId] });
  }
}

const isFileId = (name: string) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(name);

/** When a UUIDv7 was made, in milliseconds since 1970. */
const timeOf = (fileId: string) => Number.parseInt(fileId.replace('-', '').slice(0, 12), 16);
