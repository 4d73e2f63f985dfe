import type pg from 'pg';
import type { Author } from '../access/caller.ts';
import { removeAttachments, removeFiles } from '../attachments/remove.ts';
import { titleOf } from '../conversations/commands/title.ts';
import { type Blanking, blankMessages, forgetAuthor } from '../conversations/log/blank.ts';
import { type RemovalServices, removeConversation } from '../conversations/log/remove.ts';
import { settleReply } from '../conversations/log/settle.ts';
import { inTransaction, type Pool } from '../db.ts';
import type { Storage } from '../storage/storage.ts';
import { discardPayloads, removeErased } from '../webhooks/sending/cleaning.ts';

/** Messages that one transaction erases. It holds their conversation for as long as that takes. */
const MESSAGES = 500;
/** Conversations that are read at a time. */
const CONVERSATIONS = 100;

export interface ErasingServices extends RemovalServices {
  storage: Storage;
}

/** A marked person, and who has them erased. */
export interface Leaver {
  contactId: string;
  organizationId: string;
  actor: Author;
}

/** What one transaction erased, for the outcome. */
interface Erased {
  conversations?: number;
  messages?: number;
  attachments?: number;
}

/**
 * Erases a marked person and all that is theirs, in small transactions. Whoever does it again goes on where it was left, and counts
 * nothing twice. Throws when the signal aborts.
 */
export async function erasePerson(services: ErasingServices, leaver: Leaver, signal: AbortSignal): Promise<void> {
  const { pool } = services;
  do {
    const names = await namesOf(pool, leaver);
    await stopReplies(services, leaver, signal);
    await eraseConversations(services, leaver, signal);
    await eraseMessages(services, { ...leaver, ...names }, signal);
    await eraseLetters(pool, leaver, names);
    await removeUploads(services, leaver);
    await removeErased(pool);
    await removeFiles(services, signal, leaver.contactId);
  } while (!(await forgetPerson(pool, leaver)));
}

/** What they are known by to others. */
interface Names {
  externalId: string | null;
  email: string | null;
}

async function namesOf(pool: Pool, { contactId }: Leaver): Promise<Names> {
  const { rows } = await pool.query<Names>({
    text: 'SELECT external_id AS "externalId", email FROM contact WHERE id = $1',
    values: [contactId],
  });
  return rows[0] ?? { externalId: null, email: null };
}

/** Stops the replies that run in their conversations, before those have their turn. */
async function stopReplies({ pool, bus }: ErasingServices, { contactId, actor }: Leaver, signal: AbortSignal) {
  const { rows } = await pool.query<{ id: string }>({
    text: 'SELECT id FROM conversation WHERE contact_id = $1 AND generating_message_id IS NOT NULL',
    values: [contactId],
  });
  for (const { id: conversationId } of rows) {
    signal.throwIfAborted();
    const stopped = await inTransaction(pool, async (db) => {
      const { rows: locked } = await db.query<{ replyId: string | null }>({
        text: `SELECT generating_message_id AS "replyId" FROM conversation WHERE id = $1 AND contact_id = $2 FOR NO KEY UPDATE`,
        values: [conversationId, contactId],
      });
      const replyId = locked[0]?.replyId ?? null;
      if (replyId === null) return null;
      const reached = await settleReply(db, { conversationId, replyId, actor }, { status: 'STOPPED' });
      return reached && { ...reached, settled: replyId };
    });
    if (stopped) bus.publish({ kind: 'log', conversationId, ...stopped });
  }
}

/** Erases what they have talked about: whole conversations, the large ones bit by bit. */
async function eraseConversations(services: ErasingServices, leaver: Leaver, signal: AbortSignal): Promise<void> {
  const { contactId, organizationId, actor } = leaver;
  for (;;) {
    const { rows } = await services.pool.query<{ id: string }>({
      text: 'SELECT id FROM conversation WHERE contact_id = $1 AND organization_id = $2 LIMIT $3',
      values: [contactId, organizationId, CONVERSATIONS],
    });
    if (rows.length === 0) return;
    for (const { id: conversationId } of rows) {
      for (let isGone = false; !isGone;) {
        signal.throwIfAborted();
        const removed = await removeConversation(
          services,
          { conversationId, organizationId, actor },
          {
            isWanted: (leaving) => leaving.contactId === contactId,
            batch: MESSAGES,
            erasedWith: contactId,
            also: (db, { messages, attachments, isGone: whole }) =>
              count(db, leaver, { messages, attachments, conversations: Number(whole) }),
          },
        );
        isGone = removed?.isGone ?? true;
      }
    }
  }
}

/** Blanks what they have written in the conversations of others. */
async function eraseMessages(services: ErasingServices, leaver: Leaver & Names, signal: AbortSignal): Promise<void> {
  const { contactId, organizationId, externalId, email } = leaver;
  for (;;) {
    const { rows } = await services.pool.query<{ id: string }>({
      text: `SELECT conversation_id AS id FROM message WHERE organization_id = $1 AND author->>'contactId' = $2::text
        UNION
        SELECT conversation_id FROM message WHERE organization_id = $1 AND author->>'externalId' = $3::text
          AND author->>'kind' = 'END_USER' AND (author->>'contactId') IS NULL
        UNION
        SELECT m.conversation_id FROM letter l JOIN message m ON m.id = l.message_id AND m.erased_at IS NULL
        WHERE l.organization_id = $1 AND l.direction = 'IN' AND lower(l.sender) = lower($5::text)
          AND (m.author->>'contactId') IS NULL
        LIMIT $4`,
      values: [organizationId, contactId, externalId, CONVERSATIONS, email],
    });
    if (rows.length === 0) return;
    for (const { id: conversationId } of rows) {
      const blanking: Blanking = { ...leaver, conversationId };
      const options = {
        batch: MESSAGES,
        titleOf: (text: string) => titleOf([{ kind: 'TEXT', text, metadata: {} }]),
        also: (db: pg.PoolClient, erased: Erased) => count(db, leaver, erased),
      };
      for (let isMore = true; isMore;) {
        signal.throwIfAborted();
        isMore = (await blankMessages(services, blanking, options)) === MESSAGES;
      }
      await discardPayloads(services.pool, conversationId);
      await forgetAuthor(services.pool, blanking);
    }
  }
}

/** SQL for the letters from or to an address, `$2`, that belong to no conversation: they went with none. */
const lettersAlone = /* sql */ `SELECT id FROM letter WHERE organization_id = $1 AND conversation_id IS NULL
  AND (lower(sender) = lower($2::text) OR lower(recipient) = lower($2::text))`;

async function eraseLetters(pool: Pool, { organizationId }: Leaver, { email }: Names): Promise<void> {
  const values = [organizationId, email];
  for (let isMore = true; isMore;) {
    const { rowCount } = await pool.query({
      text: `DELETE FROM letter WHERE id IN (${lettersAlone} LIMIT ${MESSAGES})`,
      values,
    });
    isMore = rowCount === MESSAGES;
  }
  await pool.query('DELETE FROM letter_allowance WHERE organization_id = $1 AND address = lower($2)', values);
}

/** Removes what they have uploaded and no message of theirs has named. */
async function removeUploads(services: ErasingServices, leaver: Leaver): Promise<void> {
  const { contactId, organizationId } = leaver;
  await inTransaction(services.pool, async (db) => {
    const attachments = await removeAttachments(db, organizationId, { contactIds: [contactId] }, contactId);
    await count(db, leaver, { attachments });
  });
}

async function count(
  db: pg.PoolClient,
  { contactId, organizationId }: Leaver,
  { conversations = 0, messages = 0, attachments = 0 }: Erased,
): Promise<void> {
  await db.query({
    text: `UPDATE erasure_target SET conversations = conversations + $3, messages = messages + $4,
        attachments = attachments + $5
      WHERE contact_id = $1 AND organization_id = $2 AND status = 'PENDING'`,
    values: [contactId, organizationId, conversations, messages, attachments],
  });
}

/** Deletes the row of the person, the last that is left. False if there is something to erase again. */
async function forgetPerson(pool: Pool, { contactId, organizationId }: Leaver): Promise<boolean> {
  return inTransaction(pool, async (db) => {
    const {
      rows: [person],
    } = await db.query<{ externalId: string | null }>(
      'SELECT external_id AS "externalId" FROM contact WHERE id = $1 FOR UPDATE',
      [contactId],
    );
    const { rows } = await db.query<{ isLeft: boolean }>({
      text: `SELECT EXISTS (SELECT FROM conversation WHERE contact_id = $1::uuid)
        OR EXISTS (SELECT FROM message WHERE author->>'contactId' = $1::text AND organization_id = $2)
        OR EXISTS (SELECT FROM message WHERE author->>'externalId' = $3::text AND organization_id = $2
          AND author->>'kind' = 'END_USER' AND (author->>'contactId') IS NULL)
        OR EXISTS (SELECT FROM attachment WHERE contact_id = $1::uuid AND organization_id = $2)
        OR EXISTS (SELECT FROM attachment WHERE erased_with = $1::uuid) AS "isLeft"`,
      values: [contactId, organizationId, person?.externalId ?? null],
    });
    if (rows[0]?.isLeft !== false) return false;
    await db.query({
      text: 'DELETE FROM idempotency WHERE organization_id = $1 AND caller = $2',
      values: [organizationId, `contact:${contactId}`],
    });
    await db.query('DELETE FROM contact WHERE id = $1 AND erasing_since IS NOT NULL', [contactId]);
    await db.query({
      text: `UPDATE erasure_target SET status = 'ERASED' WHERE contact_id = $1 AND organization_id = $2 AND status = 'PENDING'`,
      values: [contactId, organizationId],
    });
    return true;
  });
}
