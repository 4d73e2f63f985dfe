import MailComposer from 'nodemailer/lib/mail-composer';
import type { Author } from '../../access/caller.ts';
import { encodeId } from '../../ids.ts';
import { letterLimits } from '../model.ts';
import { replyAddress } from '../reply-address.ts';

/** What a letter is made from. */
export interface LetterFacts {
  conversationId: string;
  messageId: string;
  /** When the message was complete: the date of the letter. */
  completedAt: Date;
  author: Author;
  text: string;
  inbox: { name: string; address: string; secret: string };
  to: { address: string; name: string | null };
  /** Of the first letter of the conversation, or its title. */
  subject: string | null;
  /** The Message-IDs of the letters before it, oldest first, with whether each came in. */
  before: readonly { mailId: string; cameIn: boolean }[];
  files: readonly LetterAttachment[];
  /** The names of files that are not sent with it. */
  leftOut: readonly string[];
}

/** A file that goes with a letter. */
export interface LetterAttachment {
  filename: string;
  contentType: string;
  bytes: Uint8Array;
}

/** A letter that is ready to be sent. */
export interface ComposedLetter {
  raw: Buffer;
  mailId: string;
  subject: string;
  /** The sender in the envelope, which bounces go to. */
  sender: string;
}

/** Makes the letter of a message. The same message always has the same Message-ID. */
export async function composeLetter(facts: LetterFacts): Promise<ComposedLetter> {
  const { inbox, to, author, before } = facts;
  const sender = replyAddress(inbox, facts.conversationId);
  const mailId = `${encodeId('Message', facts.messageId)}@${inbox.address.slice(inbox.address.lastIndexOf('@') + 1)}`;
  const said = headerText(facts.subject ?? '') || headerText(inbox.name);
  const subject = before.length > 0 && !/^(re|aw|sv|antw|r[eé]f?)\s*:/i.test(said) ? `Re: ${said}` : said;
  const known = before.map(({ mailId: id }) => id).filter(isMailId);
  const answered = before.findLast(({ cameIn, mailId: id }) => cameIn && isMailId(id))?.mailId ?? known.at(-1);
  const who = headerText(author.displayName ?? '');
  const composer = new MailComposer({
    from: { name: who ? `${who} (${headerText(inbox.name)})` : headerText(inbox.name), address: inbox.address },
    to: { name: headerText(to.name ?? ''), address: to.address },
    replyTo: { name: headerText(inbox.name), address: sender },
    subject,
    messageId: `<${mailId}>`,
    date: facts.completedAt,
    ...(answered !== undefined && { inReplyTo: `<${answered}>` }),
    ...(known.length > 0 && { references: known.slice(-letterLimits.references).map((id) => `<${id}>`) }),
    ...(author.kind === 'AI_AGENT' && {
      // Tells others that answer by themselves not to.
      headers: {
        'Auto-Submitted': before.length > 0 ? 'auto-replied' : 'auto-generated',
        'X-Auto-Response-Suppress': 'All',
      },
    }),
    text: [facts.text, ...facts.leftOut.map((name) => `(“${name}” is too large to be sent by email.)`)]
      .join('\n\n')
      .trim(),
    attachments: facts.files.map(({ filename, contentType, bytes }) => ({
      filename,
      contentType,
      content: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      // Whatever it is, no line of it is changed on the way.
      contentTransferEncoding: 'base64' as const,
    })),
    // Nothing that people write is taken for the name of a file or an address.
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: '\r\n',
  });
  const raw = await composer.compile().build();
  return { raw, mailId, subject, sender };
}

/** Without line breaks and other control characters, which could begin another header. */
function headerText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, letterLimits.subject)
    .toWellFormed();
}

/** What others called their letters comes from outside. */
function isMailId(id: string): boolean {
  return /^[\x21-\x3b\x3d\x3f-\x7e]{1,998}$/.test(id);
}
