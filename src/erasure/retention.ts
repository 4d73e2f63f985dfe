import { removeAttachments, wakeRemoval } from '../attachments/remove.ts';
import { type Leaving, type Removal, type RemovalServices, removeConversation } from '../conversations/log/remove.ts';
import type { JobQueue } from '../jobs/queue.ts';
import { type Handler, handle, type Task } from '../jobs/task.ts';
import { removeErased } from '../webhooks/sending/cleaning.ts';

/** The hour of the night, in UTC. */
const HOUR = 3;
/** How many conversations are read at a time. */
const BATCH = 100;
/** How many messages one transaction erases. It holds their conversation for as long as that takes. */
const MESSAGES = 500;
/** How many files one transaction removes. */
const FILES = 1000;

const actor = { kind: 'SYSTEM', displayName: 'Retention' } as const;

export const retentionTask: Task<null> = { name: 'erasure.retention', lane: 'long', read: () => null };

/** Has what is kept no longer erased in the next night, by one server. */
export function scheduleRetention(jobs: JobQueue): Promise<void> {
  const runAt = nightAfter(new Date());
  return jobs.add(retentionTask, null, { key: retentionTask.name, runAt, keepTime: true });
}

export function nightAfter(now: Date): Date {
  const night = new Date(now);
  night.setUTCHours(HOUR, 0, 0, 0);
  if (night <= now) night.setUTCDate(night.getUTCDate() + 1);
  return night;
}

/** Erases what is older than its organization keeps it. One that cannot be dealt with delays no other. */
export function retentionHandler(services: RemovalServices): Handler {
  return handle(retentionTask, async (_payload, { signal }) => {
    const { pool, logger } = services;
    const { rows } = await pool.query<{ id: string; conversationDays: number | null; attachmentDays: number | null }>(
      `SELECT id, conversation_days AS "conversationDays", attachment_days AS "attachmentDays" FROM organization
        WHERE conversation_days IS NOT NULL OR attachment_days IS NOT NULL ORDER BY id`,
    );
    for (const { id: organizationId, conversationDays, attachmentDays } of rows) {
      const within = (days: number | null) => days !== null && { organizationId, days };
      try {
        const [chats, files] = [within(conversationDays), within(attachmentDays)];
        const conversations = chats ? await eraseQuiet(services, chats, signal) : 0;
        const attachments = files ? await eraseOldFiles(services, files, signal) : 0;
        if (files) await eraseOldSources(services, files, signal);
        if (conversations + attachments > 0) {
          logger.info({ organizationId, conversations, attachments }, 'erased what is kept no longer');
        }
      } catch (error) {
        signal.throwIfAborted();
        logger.error(
          { err: error, organizationId },
          'could not erase what is kept no longer; trying again in the next night',
        );
      }
    }
    await scheduleRetention(services.jobs);
  });
}

/** Erases a conversation bit by bit. What is begun is finished, whatever is written meanwhile. False if it is not to be erased. */
async function eraseOne(
  services: RemovalServices,
  removal: Removal,
  limit: Date,
  signal: AbortSignal,
): Promise<boolean> {
  const isQuiet = ({ updatedAt, runningReplyId }: Leaving) => runningReplyId === null && updatedAt < limit;
  let removed = await removeConversation(services, removal, { isWanted: isQuiet, batch: MESSAGES });
  if (!removed) return false;
  while (removed && !removed.isGone) {
    signal.throwIfAborted();
    removed = await removeConversation(services, removal, { batch: MESSAGES });
  }
  return true;
}

/** Erases conversations in which nothing has happened for so many days. One that cannot be erased keeps no other. Returns how many. */
export async function eraseQuiet(
  services: RemovalServices,
  { organizationId, days }: { organizationId: string; days: number },
  signal: AbortSignal,
): Promise<number> {
  let erased = 0;
  let last: { updated: string; id: string } | undefined;
  do {
    const { rows } = await services.pool.query<{ id: string; updated: string; limit: Date }>({
      text: `SELECT id, updated_at::text AS updated, now() - $2 * interval '1 day' AS limit FROM conversation
        WHERE organization_id = $1 AND updated_at < now() - $2 * interval '1 day' AND generating_message_id IS NULL
          AND ($3::text IS NULL OR (updated_at, id) > ($3::timestamptz, $4::uuid))
        ORDER BY updated_at, id LIMIT ${BATCH}`,
      values: [organizationId, days, last?.updated ?? null, last?.id ?? null],
    });
    for (const { id: conversationId, limit } of rows) {
      signal.throwIfAborted();
      try {
        if (await eraseOne(services, { conversationId, organizationId, actor }, limit, signal)) erased += 1;
      } catch (error) {
        signal.throwIfAborted();
        services.logger.error({ err: error, conversationId }, 'could not erase a conversation that is kept no longer');
      }
    }
    await removeErased(services.pool);
    last = rows.length === BATCH ? rows.at(-1) : undefined;
  } while (last);
  return erased;
}

/** Removes the bytes of letters that came or went so many days ago, in which their files are. */
export async function eraseOldSources(
  { pool }: RemovalServices,
  { organizationId, days }: { organizationId: string; days: number },
  signal: AbortSignal,
): Promise<void> {
  for (let isMore = true; isMore;) {
    signal.throwIfAborted();
    const { rowCount } = await pool.query({
      text: `DELETE FROM letter_source WHERE letter_id IN (
          SELECT l.id FROM letter l JOIN letter_source s ON s.letter_id = l.id
          WHERE l.organization_id = $1 AND l.status <> 'WAITING' AND l.created_at < now() - $2 * interval '1 day' LIMIT ${BATCH})`,
      values: [organizationId, days],
    });
    isMore = rowCount === BATCH;
  }
}

/** Removes the attachments of messages that were named so many days ago. Returns how many. */
export async function eraseOldFiles(
  services: RemovalServices,
  { organizationId, days }: { organizationId: string; days: number },
  signal: AbortSignal,
): Promise<number> {
  let erased = 0;
  for (let isMore = true; isMore;) {
    signal.throwIfAborted();
    const { rows } = await services.pool.query<{ id: string }>({
      text: `SELECT id FROM attachment WHERE organization_id = $1 AND deleted_at IS NULL
          AND named_at < now() - $2 * interval '1 day'
        ORDER BY named_at LIMIT ${FILES}`,
      values: [organizationId, days],
    });
    const attachmentIds = rows.map(({ id }) => id);
    erased += await removeAttachments(services.pool, organizationId, { attachmentIds });
    isMore = rows.length === FILES;
  }
  if (erased > 0) await wakeRemoval(services);
  return erased;
}
