import type { Pool } from '../../db.ts';
import { ContactBlockedError } from '../../contacts/failures.ts';
import type { ConversationServices } from '../../conversations/services.ts';
import { isEmailAddress } from '../../email-address.ts';
import { UserError } from '../../errors.ts';
import { FairGate } from '../../fair-gate.ts';
import type { JobContext } from '../../jobs/task.ts';
import { hasAllowance } from '../allowance.ts';
import { isBlocked } from '../contacts.ts';
import { HEAD_BYTES, lookUpRecords } from '../letter/dmarc.ts';
import type { LetterReader } from '../letter/letter-reader.ts';
import type { Letter, LetterIssue } from '../letter/letter.ts';
import type { ReadLetter } from '../letter/letter-worker.ts';
import { letterLimits, type LetterJob, type ResolveDns } from '../model.ts';
import { recordBounce } from './bounce.ts';
import { storedText } from '../stored-text.ts';
import { chooseFiles, withKeptFiles } from './keep-files.ts';
import { begin, type Came, callerIdOf, callerOf, goOn, keysOf, plain } from './put-in.ts';
import { findThread, type ReceivingInbox } from './thread.ts';

export interface ReceiverOptions {
  /** For what jobs do. */
  pool: Pool;
  services: () => ConversationServices;
  resolveDns: ResolveDns;
  reader: LetterReader;
}

/** What became of a letter. */
interface Outcome {
  status: 'DONE' | 'DROPPED' | 'FAILED';
  detail?: string;
  conversationId?: string;
  messageId?: string | null;
}

/** Makes the letters that came in messages. */
export class Receiver {
  private readonly options: ReceiverOptions;
  /** A letter takes several times its length of memory while it is read. Organizations take turns. */
  private readonly reading = new FairGate(2);

  constructor(options: ReceiverOptions) {
    this.options = options;
  }

  /** Makes a message of a letter, once however often this begins again: the commands know the letter by its id. */
  async receive({ letterId }: LetterJob, { signal, isLast }: JobContext): Promise<void> {
    const inbox = await this.findInbox(letterId);
    if (!inbox) return;
    const taken = await this.findTaken(letterId, inbox);
    if (taken) return this.record(letterId, { status: 'DONE', ...taken });
    if (inbox.address === null)
      return this.record(letterId, { status: 'DROPPED', detail: 'Its inbox has no address any more.' });
    try {
      const { letter, vouchedFor } = await this.read(letterId, inbox, signal);
      signal.throwIfAborted();
      await this.describe(letterId, letter, vouchedFor);
      const came = { letterId, inbox: { ...inbox, address: inbox.address }, letter, vouchedFor };
      await this.record(letterId, await this.take(came, signal));
    } catch (error) {
      const detail = error instanceof UserError ? error.message : 'It could not be read, or not be made a message.';
      if (isLast && !signal.aborted) await this.record(letterId, { status: 'FAILED', detail });
      throw error;
    }
  }

  private async read(
    letterId: string,
    { organizationId }: Pick<ReceivingInbox, 'organizationId'>,
    signal: AbortSignal,
  ): Promise<ReadLetter> {
    const { pool, reader, resolveDns } = this.options;
    const records = await lookUpRecords(await readSource(pool, letterId, HEAD_BYTES), resolveDns);
    return this.reading.run(organizationId, async () => {
      signal.throwIfAborted();
      return reader.read(await readSource(pool, letterId), { records, signal });
    });
  }

  private async take({ letterId, inbox, letter, vouchedFor }: Came, signal: AbortSignal): Promise<Outcome> {
    const { pool } = this.options;
    const services = this.options.services();
    const { organizationId } = inbox;
    if (letter.automatic === 'BOUNCE') return dropped(await recordBounce(pool, inbox, letter));
    const { from } = letter;
    if (!from || !isEmailAddress(from.address)) return dropped('It names no sender, or not by one bare address.');
    if (from.address.toLowerCase() === inbox.address.toLowerCase()) return dropped('The inbox itself has sent it.');
    const thread = await findThread(pool, inbox, letter, vouchedFor);
    // The contact of a conversation is looked at with its message.
    if (
      thread?.contactAddress?.toLowerCase() !== from.address.toLowerCase() &&
      (await isBlocked(pool, organizationId, { address: from.address, vouchedFor }))
    )
      return dropped('The sender is blocked.');
    const contactAddress = thread ? thread.contactAddress : from.address;
    const answers =
      letter.automatic === null &&
      contactAddress !== null &&
      !(await this.isOwn(organizationId, from.address)) &&
      (await hasAllowance(pool, organizationId, contactAddress));
    const action = answers ? ('GENERATE_REPLY' as const) : ('NONE' as const);
    const { chosen: files, left } = chooseFiles(letter.attachments, services.maxAttachmentBytes);
    const caller = callerOf(inbox, thread?.contactId ?? null);
    try {
      const committed = await withKeptFiles(services, caller, { files, signal }, (attachments) => {
        const said = { letterId, inbox, letter, action, attachments };
        return thread && thread.status !== 'ENDED'
          ? goOn(services, said, thread)
          : begin(services, said, { thread, vouchedFor });
      });
      const { conversationId, messageId } = committed;
      return { status: 'DONE', ...issuesOf([...letter.issues, ...left]), conversationId, messageId };
    } catch (error) {
      if (error instanceof ContactBlockedError) return dropped('The contact is blocked.');
      throw error;
    }
  }

  /** Whether an address is an inbox of the organization: two inboxes do not answer each other. */
  private async isOwn(organizationId: string, address: string): Promise<boolean> {
    const { rowCount } = await this.options.pool.query({
      name: 'is-address-of-inbox',
      text: `SELECT FROM inbox WHERE organization_id = $1 AND lower(address) = lower($2)`,
      values: [organizationId, address],
    });
    return rowCount !== 0;
  }

  /** Null if the letter or its inbox is gone, or the letter was dealt with. */
  private async findInbox(letterId: string) {
    const { rows } = await this.options.pool.query<Omit<ReceivingInbox, 'address'> & { address: string | null }>({
      name: 'find-inbox-of-letter',
      text: `SELECT i.id, i.organization_id AS "organizationId", i.address, i.secret
        FROM letter l JOIN inbox i ON i.id = l.inbox_id WHERE l.id = $1 AND l.status = 'WAITING'`,
      values: [letterId],
    });
    return rows[0] ?? null;
  }

  /** What the letter has become already, by a try that ended before it was recorded. */
  private async findTaken(letterId: string, { id, organizationId }: Pick<ReceivingInbox, 'id' | 'organizationId'>) {
    const { rows } = await this.options.pool.query<{ conversationId: string; messageId: string | null }>({
      name: 'find-taken-letter',
      text: `SELECT conversation_id AS "conversationId", message_id AS "messageId" FROM idempotency
        WHERE organization_id = $1 AND caller = $2 AND key = ANY($3)`,
      values: [organizationId, callerIdOf(id), Object.values(keysOf(letterId))],
    });
    return rows[0] ?? null;
  }

  private async describe(letterId: string, letter: Letter, vouchedFor: boolean): Promise<void> {
    await this.options.pool.query({
      name: 'describe-letter',
      text: `UPDATE letter SET sender = $2, recipient = $3, subject = $4, whole_text = $5, automatic = $6, verified = $7 WHERE id = $1`,
      values: [
        letterId,
        plain(letter.from?.address),
        plain(letter.to[0]?.address),
        plain(letter.subject),
        storedText(letter.text, letterLimits.wholeText),
        letter.automatic,
        vouchedFor,
      ],
    });
  }

  private async record(letterId: string, outcome: Outcome): Promise<void> {
    await this.options.pool.query({
      name: 'record-received-letter',
      text: `UPDATE letter SET status = $2, detail = $3, message_id = $5, tries = tries + 1, done_at = now(),
          conversation_id = (SELECT id FROM conversation WHERE id = $4)
        WHERE id = $1 AND status = 'WAITING'`,
      values: [
        letterId,
        outcome.status,
        outcome.detail ?? null,
        outcome.conversationId ?? null,
        outcome.messageId ?? null,
      ],
    });
  }
}

/** What of a letter could not be read or was left out, for operators. */
const issuesOf = (issues: readonly Pick<LetterIssue, 'text'>[]) =>
  issues.length > 0 && { detail: storedText(issues.map(({ text }) => text).join(' '), 2000) };

const dropped = (detail: string): Outcome => ({ status: 'DROPPED', detail });

/** The bytes of a letter, or the first of them. */
async function readSource(pool: Pool, letterId: string, most: number = letterLimits.raw): Promise<Buffer> {
  const { rows } = await pool.query<{ raw: Buffer }>({
    text: 'SELECT substring(raw FROM 1 FOR $2) AS raw FROM letter_source WHERE letter_id = $1',
    values: [letterId, most],
  });
  if (!rows[0]) throw new Error('a letter has no source');
  return rows[0].raw;
}
