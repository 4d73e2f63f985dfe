import { removeAttachments } from '../attachments/remove.ts';
import { type RemovalServices, removeConversation } from '../conversations/log/remove.ts';
import type { JobQueue } from '../jobs/queue.ts';
import { type Handler, handle, type Task } from '../jobs/task.ts';
import type { Logger } from '../logger.ts';
import { removeErased } from '../webhooks/sending/cleaning.ts';
import { outsideOperations } from '../work-clock.ts';

/** The hour of the night, in UTC. */
const HOUR = 3;
/** How many conversations are read at a time. Each is erased in a transaction of its own. */
const BATCH = 100;

const actor = { kind: 'SYSTEM', displayName: 'Retention' } as const;

export const retentionTask: Task<null> = { name: 'erasure.retention', lane: 'long', read: () => null };

/** Has what is kept no longer erased in the next night, by one server. */
export function scheduleRetention(jobs: JobQueue): Promise<void> {
  const runAt = nightAfter(new Date());
  return outsideOperations(() => jobs.add(retentionTask, null, { key: retentionTask.name, runAt, keepTime: true }));
}

export function nightAfter(now: Date): Date {
  const night = new Date(now);
  night.setUTCHours(HOUR, 0, 0, 0);
  if (night <= now) night.setUTCDate(night.getUTCDate() + 1);
  return night;
}

interface RetentionServices extends RemovalServices {
  logger: Logger;
}

/** Erases what is older than its organization keeps it. One that cannot be dealt with delays no other. */
export function retentionHandler(services: RetentionServices): Handler {
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

/** Erases conversations in which nothing has happened for so many days. Returns how many. */
export async function eraseQuiet(
  services: RemovalServices,
  { organizationId, days }: { organizationId: string; days: number },
  signal: AbortSignal,
): Promise<number> {
  let erased = 0;
  for (let isMore = true; isMore;) {
    const { rows } = await services.pool.query<{ id: string; limit: Date }>({
      text: `SELECT id, now() - $2 * interval '1 day' AS limit FROM conversation
        WHERE organization_id = $1 AND updated_at < now() - $2 * interval '1 day' AND generating_message_id IS NULL
        ORDER BY updated_at, id LIMIT ${BATCH}`,
      values: [organizationId, days],
    });
    isMore = rows.length === BATCH;
    const before = erased;
    for (const { id: conversationId, limit } of rows) {
      signal.throwIfAborted();
      const removed = await removeConversation(
        services,
        { conversationId, organizationId, actor },
        { isWanted: ({ updatedAt, runningReplyId }) => runningReplyId === null && updatedAt < limit },
      );
      if (removed) erased += 1;
    }
    await removeErased(services.pool);
    // Others are faster: what they leave is for the next night.
    if (erased === before) return erased;
  }
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
        LIMIT ${BATCH}`,
      values: [organizationId, days],
    });
    const attachmentIds = rows.map(({ id }) => id);
    erased += await removeAttachments(services, organizationId, { attachmentIds });
    isMore = rows.length === BATCH;
  }
  return erased;
}
