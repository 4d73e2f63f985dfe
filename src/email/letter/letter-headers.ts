import type { Address, Email } from 'postal-mime';
import { oneLine } from './clean-text.ts';
import type { LetterAddress } from './letter.ts';
import { FORWARD_PREFIXES, REPLY_PREFIXES } from './mail-words.ts';
import type { LetterKind } from './new-text.ts';

const MAX_ADDRESSES = 100;
const MAX_ADDRESS = 320;
const MAX_NAME = 200;
/** RFC 5322 allows no longer lines. */
const MAX_ID = 998;

const FORWARDS: ReadonlySet<string> = new Set(FORWARD_PREFIXES);
const REPLIES: ReadonlySet<string> = new Set(REPLY_PREFIXES);

/** The addresses of a header, those in groups too. What has none is left out. */
export function addressesOf(addresses: readonly Address[] = []): LetterAddress[] {
  return addresses
    .flatMap((each) => each.group ?? [each])
    .filter(({ address }) => /^\S+@\S+$/.test(address) && address.length <= MAX_ADDRESS)
    .slice(0, MAX_ADDRESSES)
    .map(({ address, name }) => ({
      address: oneLine(address),
      name: oneLine(name).slice(0, MAX_NAME).toWellFormed() || null,
    }));
}

/** The message ids of a header, without their angle brackets. */
export function messageIds(header: string | undefined): string[] {
  const ids = Array.from(oneLine(header ?? '').matchAll(/<([^<>]{1,1000})>/g), ([, id = '']) => id.replaceAll(' ', ''));
  return ids.filter((id) => id !== '' && id.length <= MAX_ID);
}

/** When a letter was sent; null for what is no date of our times. */
export function dateOf(header: string | undefined): Date | null {
  const date = new Date(header ?? '');
  const year = date.getUTCFullYear();
  return year >= 1970 && year < 10_000 ? date : null;
}

/** What the headers say of a letter's kind. The newest prefix of the subject stands first. */
export function kindOf({ subject, inReplyTo, references }: Email): LetterKind {
  const [, prefix = ''] = /^\s{0,20}([\p{L}\p{M}' ]{1,20})\.?(?:\[\d{1,3}\])?\s?[:：]/u.exec(subject ?? '') ?? [];
  const word = prefix.trim().toLowerCase();
  const answers = inReplyTo !== undefined || references !== undefined;
  const isForward = FORWARDS.has(word) && !(answers && REPLIES.has(word));
  return { isForward, isReply: !isForward && (answers || REPLIES.has(word)) };
}
