import type pg from 'pg';
import type { Caller } from '../../access/caller.ts';
import { removeAttachments } from '../../attachments/remove.ts';
import { inTransaction, LONG_STATEMENT_MS } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { VersionConflictError } from '../failures.ts';
import type { ConversationServices } from '../services.ts';

/** Deletes the conversation with everything in it. Only the last event of its log stays, for followers. */
export async function deleteConversation(
  services: ConversationServices,
  caller: Caller,
  input: { conversationId: string; expectedVersion?: number | null | undefined },
): Promise<{ conversationId: string }> {
  const { organizationId, actor } = caller;
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const deletion = async (db: pg.PoolClient) => {
    const { rows } = await db.query<{ version: number; running: string | null; contactId: string | null }>({
      text: `SELECT version, generating_message_id AS running, contact_id AS "contactId" FROM conversation
        WHERE id = $1 AND organization_id = $2 FOR UPDATE`,
      values: [conversationId, organizationId],
    });
    const locked = rows[0];
    if (!locked) throw new NotFoundError(['conversationId']);
    const { expectedVersion } = input;
    if (expectedVersion != null && expectedVersion !== locked.version) {
      throw new VersionConflictError(conversationId, expectedVersion, locked.version);
    }
    await db.query('DELETE FROM event WHERE conversation_id = $1', [conversationId]);
    await db.query('DELETE FROM idempotency WHERE conversation_id = $1', [conversationId]);
    await removeAttachments(services, organizationId, { conversationIds: [conversationId] }, db);
    await db.query('DELETE FROM conversation WHERE id = $1', [conversationId]);
    await db.query({
      text: `INSERT INTO event (conversation_id, version, organization_id, type, actor, data)
        VALUES ($1, $2, $3, 'ConversationDeleted', $4, jsonb_build_object('contactId', $5::uuid))`,
      values: [conversationId, locked.version + 1, organizationId, JSON.stringify(actor), locked.contactId],
    });
    return { version: locked.version + 1, running: locked.running };
  };
  const { version, running } = await services.gate.run(conversationId, () =>
    inTransaction(services.pool, deletion, { statementMs: LONG_STATEMENT_MS }),
  );
  const settled = running && { settled: running };
  services.bus.publish({ kind: 'log', conversationId, organizationId, version, ...settled, moved: true });
  return { conversationId };
}
