import type { Pool } from '../../db.ts';
import type { Author } from '../../access/caller.ts';
import type { JobContext } from '../../jobs/task.ts';
import { takeAllowanceSql } from '../allowance.ts';
import { letterLimits, type LetterJob } from '../model.ts';
import { storedText } from '../stored-text.ts';
import { signingSecret } from '../reply-address.ts';
import type { Storage } from '../../storage/storage.ts';
import { composeLetter, type LetterFacts } from './compose.ts';
import { filesOfLetter } from './files.ts';
import { type Smtp, SmtpFailure } from './smtp.ts';

export interface SenderOptions {
  /** For what jobs do. */
  pool: Pool;
  storage: Pick<Storage, 'read'>;
  /** Null: no mail server is set. */
  smtp: Smtp | null;
  /** Whether the contact of a conversation is in it now. */
  isContactThere: (conversationId: string, signal: AbortSignal) => Promise<boolean>;
}

interface Ready {
  raw: Buffer;
  sender: string;
  recipient: string;
}

interface FactsRow {
  conversationId: string;
  messageId: string;
  completedAt: Date;
  author: Author;
  text: string;
  inboxId: string;
  inboxName: string;
  inboxAddress: string;
  contactName: string | null;
  contactAddress: string;
  subject: string | null;
  before: { mailId: string; cameIn: boolean }[];
  /** Whether the conversation is of a web chat, which goes on by email. */
  ofWebChat: boolean;
  hasRead: boolean;
}

/** Sends the letters of messages. */
export class LetterSender {
  private readonly options: SenderOptions;

  constructor(options: SenderOptions) {
    this.options = options;
  }

  /**
   * Sends a letter. It is made once for an address and stored before it is sent, so each try is the same, byte for byte: should this
   * end between sending and recording, a receiver knows the second one by its Message-ID.
   */
  async send({ letterId }: LetterJob, { signal, isLast }: JobContext): Promise<void> {
    const letter = (await this.readMade(letterId)) ?? (await this.tryMake(letterId, { signal, isLast }));
    if (!letter) return;
    try {
      if (!this.options.smtp) throw new SmtpFailure('No mail server is set: SMTP_URL.', false);
      await this.options.smtp.send(letter, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const failure = error instanceof SmtpFailure ? error : new SmtpFailure('It could not be sent.', false);
      const status = failure.forGood || isLast ? 'FAILED' : 'WAITING';
      await this.record(letterId, status, storedText(failure.message, 2000));
      if (failure.forGood) return;
      throw error;
    }
    await this.record(letterId, 'DONE', null);
  }

  /** The letter as an earlier try made it, if it may still go where that one wanted it to. Null if none has. */
  private async readMade(letterId: string): Promise<Ready | null> {
    const { rows } = await this.options.pool.query<Ready>({
      text: `SELECT s.raw, l.sender, l.recipient FROM letter l JOIN letter_source s ON s.letter_id = l.id ${toWhomSql}
        WHERE l.id = $1 AND l.status = 'WAITING' AND lower(k.email) = lower(l.recipient)`,
      values: [letterId],
    });
    return rows[0] ?? null;
  }

  private async tryMake(letterId: string, { signal, isLast }: Pick<JobContext, 'signal' | 'isLast'>) {
    try {
      return await this.make(letterId, signal);
    } catch (error) {
      if (!signal.aborted) {
        await this.record(
          letterId,
          isLast ? 'FAILED' : 'WAITING',
          'It could not be made, or one of its files not read.',
        );
      }
      throw error;
    }
  }

  /** Makes the letter. Null if there is nothing to send, or nothing any more. */
  private async make(letterId: string, signal: AbortSignal): Promise<Ready | null> {
    const row = await this.readFacts(letterId);
    if (!row) {
      await this.record(
        letterId,
        'DROPPED',
        'The contact has no address any more, or may not be written to; or the message or the address of the inbox is gone.',
      );
      return null;
    }
    if (row.ofWebChat && (row.hasRead || (await this.options.isContactThere(row.conversationId, signal)))) {
      await this.record(letterId, 'DROPPED', 'The contact has read it in the chat, or is there.');
      return null;
    }
    const { raw, mailId, subject, sender } = await composeLetter(await this.factsOf(row));
    const { rows } = await this.options.pool.query<{ stored: boolean }>({
      name: 'store-made-letter',
      text: storeSql,
      values: [letterId, raw, mailId, subject, sender, row.contactAddress],
    });
    if (rows[0]?.stored) return { raw, sender, recipient: row.contactAddress };
    const made = await this.readMade(letterId);
    if (made) return made;
    const detail = `The address was sent ${letterLimits.automaticPerHour} automatic answers within an hour.`;
    await this.record(letterId, 'DROPPED', detail);
    return null;
  }

  private async factsOf(row: FactsRow): Promise<LetterFacts> {
    const { conversationId, messageId, completedAt, author, text, subject, before } = row;
    const secret = await signingSecret(this.options.pool, row.inboxId);
    return {
      ...(await filesOfLetter(this.options, messageId)),
      ...{ conversationId, messageId, completedAt, author, text, subject, before },
      inbox: { name: row.inboxName, address: row.inboxAddress, secret },
      to: { address: row.contactAddress, name: row.contactName },
    };
  }

  private async readFacts(letterId: string): Promise<FactsRow | null> {
    const { rows } = await this.options.pool.query<FactsRow>({
      name: 'read-letter-facts',
      text: factsSql,
      values: [letterId],
    });
    return rows[0] ?? null;
  }

  private async record(letterId: string, status: 'WAITING' | 'DONE' | 'DROPPED' | 'FAILED', detail: string | null) {
    await this.options.pool.query({
      name: 'record-sent-letter',
      text: `UPDATE letter SET status = $2::"LetterStatus", detail = $3, tries = tries + ($2::"LetterStatus" <> 'DROPPED')::int,
          done_at = CASE WHEN $2::"LetterStatus" <> 'WAITING' THEN now() END
        WHERE id = $1 AND status = 'WAITING'`,
      values: [letterId, status, detail],
    });
  }
}

/** The message and the contact of a letter, if it may be sent. */
const toWhomSql = /* sql */ `JOIN message m ON m.id = l.message_id AND m.erased_at IS NULL
  JOIN conversation c ON c.id = l.conversation_id
  JOIN contact k ON k.id = c.contact_id AND k.email IS NOT NULL AND k.blocked_at IS NULL AND k.erasing_since IS NULL`;

const factsSql = /* sql */ `
SELECT c.id AS "conversationId", m.id AS "messageId", m.completed_at AS "completedAt", m.author,
  coalesce((SELECT string_agg(f.text, '' ORDER BY f.index) FROM fragment f
    WHERE f.message_id = m.id AND f.kind = 'TEXT'), '') AS text,
  mail.id AS "inboxId", mail.name AS "inboxName", mail.address AS "inboxAddress",
  k.display_name AS "contactName", k.email AS "contactAddress", c.inbox_id <> mail.id AS "ofWebChat",
  coalesce((SELECT position >= m.position FROM read_mark r WHERE r.conversation_id = c.id AND r.reader = 'contact'), false) AS "hasRead",
  coalesce((SELECT subject FROM letter b WHERE b.conversation_id = c.id AND b.id <> l.id AND b.subject <> '' ORDER BY b.id LIMIT 1),
    c.title) AS subject,
  coalesce((SELECT json_agg(json_build_object('mailId', b.mail_id, 'cameIn', b.direction = 'IN') ORDER BY b.id) FROM (
    SELECT * FROM letter WHERE conversation_id = c.id AND id < l.id AND mail_id IS NOT NULL AND status IN ('DONE', 'BOUNCED', 'WAITING')
    ORDER BY id DESC LIMIT ${letterLimits.references}) b), '[]') AS before
FROM letter l ${toWhomSql}
  JOIN inbox mail ON mail.id = l.inbox_id AND mail.address IS NOT NULL
WHERE l.id = $1 AND l.status = 'WAITING'`;

/** Stores the bytes once for an address. What an agent says by itself takes one of the automatic answers that the address gets in an hour. */
const storeSql = /* sql */ `
WITH mine AS MATERIALIZED (
  SELECT l.id, l.organization_id, l.automatic, l.recipient, $6::text AS address FROM letter l WHERE l.id = $1 AND l.status = 'WAITING' FOR UPDATE
), fresh AS MATERIALIZED (
  SELECT * FROM mine WHERE lower(recipient) IS DISTINCT FROM lower(address)
    OR NOT EXISTS (SELECT FROM letter_source s WHERE s.letter_id = mine.id)
), automatic AS (SELECT * FROM fresh WHERE automatic IS NOT NULL),
taken AS (${takeAllowanceSql('automatic')}),
allowed AS (SELECT * FROM fresh WHERE automatic IS NULL OR EXISTS (SELECT FROM taken)),
stored AS (
  INSERT INTO letter_source (letter_id, organization_id, raw) SELECT id, organization_id, $2 FROM allowed
  ON CONFLICT (letter_id) DO UPDATE SET raw = excluded.raw RETURNING letter_id
), described AS (
  UPDATE letter SET mail_id = $3, subject = $4, sender = $5, recipient = $6 FROM stored WHERE letter.id = stored.letter_id
)
SELECT EXISTS (SELECT FROM stored) AS stored`;
