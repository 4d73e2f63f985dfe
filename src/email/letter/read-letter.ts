import PostalMime, { type Email } from 'postal-mime';
import { automaticLetter } from './automatic.ts';
import { boundedLetter } from './bounded-letter.ts';
import { oneLine } from './clean-text.ts';
import type { Flow } from './flowed-text.ts';
import type { Letter, LetterAddress, LetterIssue } from './letter.ts';
import { filesOf } from './letter-files.ts';
import { addressesOf, dateOf, kindOf, messageIds } from './letter-headers.ts';
import { isAttachedLetter, letterText, withAttached } from './letter-text.ts';
import { declaredCharset } from './raw-headers.ts';

const MAX_DEPTH = 50;
const MAX_HEADERS = 4 * 1024 * 1024;
const MAX_SUBJECT = 998;
/** What is read of a letter of which only the headers are read, in bytes. */
const MAX_ONLY_HEAD = 64 * 1024;
/** How many attached letters are read into the text, each of at most this many bytes. */
const MAX_ATTACHED = 3;
const MAX_ATTACHED_BYTES = 1024 * 1024;

export interface LetterEnvelope {
  /** The envelope's sender (MAIL FROM), where the caller knows it; empty for a bounce's. Default: the header Return-Path. */
  sender?: string;
}

/**
 * Reads a letter as it came, headers and all. The caller bounds its length. It never throws for what the letter says: of a broken
 * one it gives what can be read, and says in `issues` what cannot.
 */
export async function readLetter(raw: Uint8Array, envelope: LetterEnvelope = {}): Promise<Letter> {
  const { email, flow, issues } = await parse(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength));
  const values = new Map(email.headers.toReversed().map(({ key, value }) => [key, value]));
  const header = (name: string) => (values.get(name) ?? '').trim().toLowerCase();
  const from = addressesOf(email.from ? [email.from] : [])[0] ?? null;
  const kind = kindOf(email);
  const bodies = { html: email.html ?? '', plain: email.text ?? '', flow };
  const automatic = automaticLetter({
    header,
    from: from?.address ?? null,
    sender: envelope.sender ?? nullSender(values.get('return-path')),
    actions: reportedActions(email),
  });
  const attached = automatic === null ? await attachedTexts(email) : [];
  const { text, newText, issues: ofText } = withAttached(letterText(bodies, kind), attached);
  const { files, issues: ofFiles } = filesOf(email.attachments, bodies.html);
  return {
    messageId: messageIds(email.messageId)[0] ?? null,
    inReplyTo: messageIds(email.inReplyTo)[0] ?? null,
    references: messageIds(email.references).slice(-100),
    from,
    to: addressesOf(email.to),
    cc: addressesOf(email.cc),
    replyTo: addressesOf(email.replyTo),
    subject: oneLine(email.subject ?? '')
      .slice(0, MAX_SUBJECT)
      .toWellFormed(),
    date: dateOf(email.date),
    text,
    newText,
    attachments: files,
    automatic,
    issues: [...issues, ...encryption(header('content-type')), ...ofText, ...ofFiles],
  };
}

/** Reads nothing but the headers of a letter whose rest is out of all measure, and says so. */
export async function headersOf(raw: Uint8Array, envelope: LetterEnvelope = {}): Promise<Letter> {
  const head = onlyHead(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength));
  const letter = await readLetter(head, envelope);
  return { ...letter, text: '', newText: '', issues: [...letter.issues, onlyHeaders] };
}

const onlyHeaders: LetterIssue = { code: 'BROKEN', text: 'Only the headers of the letter could be read.' };

function onlyHead(raw: Buffer): Buffer {
  const head = raw.subarray(0, MAX_ONLY_HEAD);
  const end = /\n\r?\n/.exec(head.toString('latin1'))?.index;
  return head.subarray(0, end);
}

/** Parses a letter within bounds. When it is beyond them, only its headers are read. */
async function parse(raw: Buffer): Promise<{ email: Email; flow: Flow; issues: LetterIssue[] }> {
  const bounded = boundedLetter(raw, declaredCharset(raw));
  const options = { forceRfc822Attachments: true, maxNestingDepth: MAX_DEPTH, maxHeadersSize: MAX_HEADERS };
  try {
    return { ...bounded, email: await PostalMime.parse(bounded.raw, options) };
  } catch {
    const email = await PostalMime.parse(onlyHead(bounded.raw), options);
    return { ...bounded, email, issues: [...bounded.issues, onlyHeaders] };
  }
}

/** What the parts of a report say of each recipient (RFC 3464). */
function reportedActions({ attachments }: Email): string[] {
  return attachments
    .filter(({ mimeType }) => mimeType === 'message/delivery-status')
    .slice(0, 1)
    .flatMap(({ content }) => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(new Uint8Array(content));
      const text = bytes.toString('latin1', 0, MAX_ONLY_HEAD);
      return Array.from(text.matchAll(/^action:[ \t]{0,20}([a-z]{1,20})/gim), ([, action = '']) =>
        action.toLowerCase(),
      );
    });
}

const nullSender = (returnPath: string | undefined) => (returnPath?.trim() === '<>' ? '' : null);

/** What the letters say that are attached: someone passes them on. Letters that are attached to those are left. */
async function attachedTexts(email: Email): Promise<string[]> {
  const texts: string[] = [];
  for (const { content } of email.attachments.filter(isAttachedLetter).slice(0, MAX_ATTACHED)) {
    const raw = typeof content === 'string' ? Buffer.from(content) : Buffer.from(new Uint8Array(content));
    if (raw.length > MAX_ATTACHED_BYTES) continue;
    const { email: attached, flow } = await parse(raw);
    const { text } = letterText(
      { html: attached.html ?? '', plain: attached.text ?? '', flow },
      { isReply: false, isForward: true },
    );
    const from = addressesOf(attached.from ? [attached.from] : [])[0];
    texts.push([sayAddress(from), oneLine(attached.subject ?? ''), text].filter((line) => line !== '').join('\n'));
  }
  return texts;
}

const sayAddress = (from: LetterAddress | undefined) => (from ? `${from.name ?? ''} <${from.address}>`.trim() : '');

function encryption(type: string): LetterIssue[] {
  const isEncrypted = type.startsWith('multipart/encrypted') || /^application\/(?:x-)?pkcs7-mime/.test(type);
  return isEncrypted ? [{ code: 'ENCRYPTED', text: 'The letter is encrypted: only its headers can be read.' }] : [];
}
