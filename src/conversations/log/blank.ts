import type pg from 'pg';
import type { Author } from '../../access/caller.ts';
import { removeAttachments, wakeRemoval } from '../../attachments/remove.ts';
import { inTransaction, type Pool } from '../../db.ts';
import { forgetQuestions } from '../../knowledge/unanswered.ts';
import { logEvents, type NewEvent } from './log-events.ts';
import type { RemovalServices } from './remove.ts';
import { settleReply } from './settle.ts';

/** Whose messages are blanked in the conversation of others, and by whom. */
export interface Blanking {
  conversationId: string;
  organizationId: string;
  contactId: string;
  externalId: string | null;
  /** Letters from it are theirs, if nobody else is said to have written them. */
  email: string | null;
  actor: Author;
}

/** SQL for whether a letter came from an address and nobody known is the author of its message `m`. */
export const isByLetterFrom = (
  email: string,
) => /* sql */ `(m.author->>'contactId' IS NULL AND EXISTS (SELECT FROM letter l
  WHERE l.message_id = m.id AND l.direction = 'IN' AND lower(l.sender) = lower(${email}::text)))`;

/**
 * Blanks up to `batch` messages that somebody has written in the conversation of others, and the replies to them, each with a
 * `MessageErased`. A reply to one of them that runs is stopped first. Of their authors the id stays until `forgetAuthor`: should this
 * server stop in between, whoever goes on finds them by it. Returns how many of the person's own were blanked. `titleOf` makes the
 * title of a conversation that a message begins.
 */
export async function blankMessages(
  services: RemovalServices,
  blanking: Blanking,
  { batch, titleOf, also }: BlankOptions,
): Promise<number> {
  const { pool, bus } = services;
  const { conversationId, organizationId, contactId, externalId, email, actor } = blanking;
  const result = await inTransaction(pool, async (db) => {
    const { rows } = await db.query<{ title: string | null; running: string | null }>({
      text: `SELECT title, generating_message_id AS running FROM conversation WHERE id = $1 AND organization_id = $2
        FOR NO KEY UPDATE`,
      values: [conversationId, organizationId],
    });
    const [locked] = rows;
    if (!locked) return null;
    const { rows: own } = await db.query<{ id: string; text: string | null }>({
      text: `SELECT m.id, (SELECT f.text FROM fragment f WHERE f.message_id = m.id AND f.kind = 'TEXT' ORDER BY f.index LIMIT 1) AS text
        FROM message m WHERE m.conversation_id = $1 AND m.erased_at IS NULL AND (m.author->>'contactId' = $2::text
          OR (m.author->>'kind' = 'END_USER' AND m.author->>'contactId' IS NULL AND m.author->>'externalId' = $3::text)
          OR ${isByLetterFrom('$5')})
        ORDER BY m.position LIMIT $4`,
      values: [conversationId, contactId, externalId, batch, email],
    });
    if (own.length === 0) return null;
    const settled = await stopReply(db, blanking, locked.running, own);
    const messages = await lockWithReplies(db, conversationId, own);
    const messageIds = messages.map(({ id }) => id);
    await forgetQuestions(db, { organizationId, messageIds });
    const attachments = await removeAttachments(db, organizationId, { messageIds }, contactId);
    for (const { text, values } of statements(blanking, messageIds)) await db.query({ text, values });
    const isTitled = own.some(({ text }) => text !== null && locked.title !== null && titleOf(text) === locked.title);
    if (isTitled) await db.query('UPDATE conversation SET title = NULL WHERE id = $1', [conversationId]);
    const erased = messages.map(({ id }): NewEvent => ({ type: 'MessageErased', messageId: id }));
    await logEvents(db, { conversationId, actor }, [
      ...erased,
      ...(isTitled ? [{ type: 'ConversationUpdated' } as const] : []),
    ]);
    await also(db, { messages: own.length, attachments });
    const { rows: raised } = await db.query<{ version: number }>({
      text: 'SELECT version FROM conversation WHERE id = $1',
      values: [conversationId],
    });
    return { messages: own.length, attachments, settled, version: raised[0]?.version ?? 0 };
  });
  if (!result) return 0;
  const { messages, attachments, settled, version } = result;
  if (attachments > 0) await wakeRemoval(services);
  bus.publish({ kind: 'log', conversationId, organizationId, version, ...(settled && { settled }), moved: true });
  return messages;
}

interface BlankOptions {
  batch: number;
  titleOf: (text: string) => string | null;
  /** Is written with it. */
  also: (db: pg.PoolClient, erased: { messages: number; attachments: number }) => Promise<void>;
}

/** Forgets who has written what is blanked. */
export async function forgetAuthor(pool: Pool, { conversationId, contactId }: Blanking): Promise<void> {
  await pool.query({
    text: `UPDATE message SET author = '{"kind": "END_USER"}'
      WHERE conversation_id = $1 AND author->>'contactId' = $2::text AND erased_at IS NOT NULL`,
    values: [conversationId, contactId],
  });
}

/** Stops the running reply if it answers one of these messages. Returns its id if so. */
async function stopReply(
  db: pg.PoolClient,
  { conversationId, actor }: Blanking,
  running: string | null,
  own: readonly { id: string }[],
): Promise<string | null> {
  if (running === null) return null;
  const { rowCount } = await db.query({
    text: 'SELECT FROM message WHERE id = $1 AND in_reply_to_id = ANY($2::uuid[])',
    values: [running, own.map(({ id }) => id)],
  });
  if (!rowCount) return null;
  await settleReply(db, { conversationId, replyId: running, actor }, { status: 'STOPPED' });
  return running;
}

/** The messages and the replies to them, in order. */
async function lockWithReplies(
  db: pg.PoolClient,
  conversationId: string,
  own: readonly { id: string }[],
): Promise<{ id: string }[]> {
  const { rows } = await db.query<{ id: string }>({
    text: `SELECT id FROM message WHERE conversation_id = $1 AND erased_at IS NULL
        AND (id = ANY($2::uuid[]) OR (in_reply_to_id = ANY($2::uuid[]) AND role = 'AGENT'))
      ORDER BY position FOR UPDATE`,
    values: [conversationId, own.map(({ id }) => id)],
  });
  return rows;
}

/** What takes the content of messages away, wherever it is. That of the search goes with the texts, by triggers. */
function statements({ conversationId, contactId }: Blanking, messageIds: readonly string[]) {
  const of = (text: string) => ({ text, values: [messageIds] });
  const inside = (text: string) => ({ text, values: [messageIds, conversationId] });
  return [
    {
      text: `UPDATE message SET erased_at = now(), metadata = '{}', content_payload = NULL, query_metadata = NULL, canvas = NULL,
          state_after = NULL, runtime_parameters = NULL, error_detail = NULL, client_id = NULL, client_id_of = NULL,
          author = CASE WHEN role = 'AGENT' THEN author ELSE jsonb_build_object('kind', 'END_USER', 'contactId', $2::text) END
        WHERE id = ANY($1::uuid[])`,
      values: [messageIds, contactId],
    },
    of(`UPDATE fragment SET text = '', units = 0, metadata = '{}', args = CASE WHEN kind = 'FUNCTION_CALL' THEN '{}'::jsonb END,
        response = NULL
      WHERE message_id = ANY($1::uuid[])`),
    of('DELETE FROM letter WHERE message_id = ANY($1::uuid[])'),
    of('UPDATE feedback SET comment = NULL WHERE message_id = ANY($1::uuid[])'),
    // The agent's wish for a human may quote what it answers. It comes right after the end of its reply.
    inside(`UPDATE handoff SET reason = NULL, metadata = '{}' FROM event ended, event begun
      WHERE ended.conversation_id = $2 AND ended.type = 'MessageCompleted' AND ended.message_id = ANY($1::uuid[])
        AND begun.conversation_id = $2 AND begun.version = ended.version + 1 AND begun.type = 'HandoffStarted'
        AND begun.actor->>'kind' = 'AI_AGENT' AND handoff.id = begun.handoff_id`),
    inside(`UPDATE event SET data = NULL
      WHERE conversation_id = $2 AND type = 'StateChanged' AND message_id = ANY($1::uuid[])`),
    inside(`DELETE FROM idempotency
      WHERE conversation_id = $2 AND (message_id = ANY($1::uuid[]) OR reply_id = ANY($1::uuid[]))`),
  ];
}
