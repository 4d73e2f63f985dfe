import type pg from 'pg';
import type { Bus } from '../bus/hints.ts';
import { removeConversation } from '../conversations/log/remove.ts';
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

interface RetentionServices {
  pool: pg.Pool;
  bus: Bus;
  jobs: JobQueue;
  logger: Logger;
}

/** Erases what is older than its organization keeps it. One that cannot be dealt with delays no other. */
export function retentionHandler(services: RetentionServices): Handler {
  return handle(retentionTask, async (_payload, { signal }) => {
    const { pool, logger } = services;
    const { rows } = await pool.query<{ id: string; conversationDays: number }>(
      `SELECT id, conversation_days AS "conversationDays" FROM organization WHERE conversation_days IS NOT NULL ORDER BY id`,
    );
    for (const { id: organizationId, conversationDays } of rows) {
      try {
        const conversations = await eraseQuiet(services, { organizationId, days: conversationDays }, signal);
        if (conversations > 0) logger.info({ organizationId, conversations }, 'erased what is kept no longer');
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
  services: { pool: pg.Pool; bus: Bus },
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
