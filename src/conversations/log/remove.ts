import type pg from 'pg';
import type { Author } from '../../access/caller.ts';
import type { Bus } from '../../bus/hints.ts';
import { removeAttachments, wakeRemoval } from '../../attachments/remove.ts';
import { inTransaction, LONG_STATEMENT_MS, type Pool } from '../../db.ts';
import type { JobQueue } from '../../jobs/queue.ts';
import { forgetQuestions } from '../../knowledge/unanswered.ts';
import type { Logger } from '../../logger.ts';

/** A conversation that is to be deleted, and by whom. */
export interface Removal {
  conversationId: string;
  organizationId: string;
  actor: Author;
}

/** The locked row of a conversation that is to be deleted. */
export interface Leaving {
  version: number;
  runningReplyId: string | null;
  contactId: string | null;
  updatedAt: Date;
}

/** What removing needs. */
export interface RemovalServices {
  pool: Pool;
  bus: Bus;
  jobs: JobQueue;
  logger: Logger;
}

/** What a transaction has deleted. */
export interface Removed {
  messages: number;
  attachments: number;
  /** Whether the conversation is gone. If not, only its last messages are. */
  isGone: boolean;
}

/**
 * Deletes a conversation with everything in it: only the last event of its log stays, for followers. With `batch`, deletes no more
 * than so many messages, from the end; call it again until the conversation is gone. `isWanted` decides under the lock, and may
 * throw. Null: there is no such conversation, or it is not wanted. `also` is written with the deletion. `erasedWith` is the row id of the
 * person whose erasure this is.
 */
export async function removeConversation(
  services: RemovalServices,
  removal: Removal,
  options: {
    isWanted?: (leaving: Leaving) => boolean;
    batch?: number;
    erasedWith?: string;
    also?: (db: pg.PoolClient, removed: Removed) => Promise<void>;
  } = {},
): Promise<Removed | null> {
  const { conversationId, organizationId } = removal;
  const { pool, bus } = services;
  const { isWanted = () => true, batch = null, erasedWith = null, also } = options;
  const result = await inTransaction(
    pool,
    async (db) => {
      const { rows } = await db.query<Leaving>({
        text: `SELECT version, generating_message_id AS "runningReplyId", contact_id AS "contactId", updated_at AS "updatedAt"
          FROM conversation WHERE id = $1 AND organization_id = $2 FOR UPDATE`,
        values: [conversationId, organizationId],
      });
      const [leaving] = rows;
      if (!leaving || !isWanted(leaving)) return null;
      const { messages, attachments } = await removeMessages(db, removal, { batch, erasedWith });
      const removed = { messages, attachments, isGone: batch === null || messages < batch };
      if (removed.isGone) await removeRest(db, removal, leaving);
      else await emptied(db, conversationId);
      await also?.(db, removed);
      return { leaving, removed };
    },
    { statementMs: LONG_STATEMENT_MS },
  );
  if (!result) return null;
  const { leaving, removed } = result;
  if (removed.attachments > 0) await wakeRemoval(services);
  const settled = leaving.runningReplyId;
  const version = leaving.version + Number(removed.isGone);
  bus.publish({ kind: 'log', conversationId, organizationId, version, ...(settled && { settled }), moved: true });
  return removed;
}

/** From the end, since a reply refers to the earlier one that it replaces. */
async function removeMessages(
  db: pg.PoolClient,
  { conversationId, organizationId }: Removal,
  { batch, erasedWith }: { batch: number | null; erasedWith: string | null },
): Promise<Omit<Removed, 'isGone'>> {
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM message WHERE conversation_id = $1 ORDER BY position DESC LIMIT $2 FOR UPDATE',
    values: [conversationId, batch],
  });
  const messageIds = rows.map(({ id }) => id);
  await forgetQuestions(db, { organizationId, messageIds });
  const attachments = await removeAttachments(db, organizationId, { messageIds }, erasedWith);
  await db.query('DELETE FROM message WHERE id = ANY($1::uuid[])', [messageIds]);
  return { messages: messageIds.length, attachments };
}

/** Nothing of a conversation that is partly deleted names a message that is gone, and no reply runs in it. */
async function emptied(db: pg.PoolClient, conversationId: string): Promise<void> {
  await db.query({
    text: `UPDATE conversation SET last_message_id = NULL, title = NULL, generating_message_id = NULL,
        generating_server_id = NULL, generating_version = NULL
      WHERE id = $1`,
    values: [conversationId],
  });
}

async function removeRest(db: pg.PoolClient, removal: Removal, { version, contactId }: Leaving): Promise<void> {
  const { conversationId, organizationId, actor } = removal;
  await db.query('DELETE FROM event WHERE conversation_id = $1', [conversationId]);
  await db.query('DELETE FROM idempotency WHERE conversation_id = $1', [conversationId]);
  await db.query('DELETE FROM conversation WHERE id = $1', [conversationId]);
  await db.query({
    text: `INSERT INTO webhook_erasure (conversation_id, organization_id)
      SELECT $1, $2 WHERE EXISTS (SELECT FROM webhook_delivery WHERE conversation_id = $1) ON CONFLICT DO NOTHING`,
    values: [conversationId, organizationId],
  });
  await db.query({
    text: `INSERT INTO event (conversation_id, version, organization_id, type, actor, data)
      VALUES ($1, $2, $3, 'ConversationDeleted', $4, jsonb_build_object('contactId', $5::uuid))`,
    values: [conversationId, version + 1, organizationId, JSON.stringify(actor), contactId],
  });
}
