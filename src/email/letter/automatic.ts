import type { AutomaticLetter } from './letter.ts';

export interface AutomaticSigns {
  /** A header's value in lower case; empty when the letter has none of this name. */
  header: (name: string) => string;
  /** The envelope's sender; null when it is not known. */
  sender: string | null;
  /** The address of From. */
  from: string | null;
}

const REPORTERS = /^(?:mailer-daemon|postmaster)@/i;

/** Whether a letter was sent by a machine or to many: by the marks of RFC 3834, RFC 3464, RFC 2919 and what programs use beside. */
export function automaticLetter({ header, sender, from }: AutomaticSigns): AutomaticLetter | null {
  const type = header('content-type');
  const isReport = type.startsWith('multipart/report');
  if ((isReport && /report-type\s{0,5}=\s{0,5}"?delivery-status/.test(type)) || header('x-failed-recipients') !== '') {
    return 'BOUNCE';
  }
  const submitted = header('auto-submitted');
  const isAnswer =
    /^auto-(?:replied|generated|notified)/.test(submitted) ||
    isReport ||
    /\b(?:all|oof|autoreply)\b/.test(header('x-auto-response-suppress')) ||
    ['x-autoreply', 'x-autorespond', 'x-autoresponder', 'x-auto-reply'].some((name) => header(name) !== '') ||
    /^auto[-_]?reply/.test(header('precedence'));
  if (from !== null && REPORTERS.test(from)) return 'BOUNCE';
  if (isAnswer) return 'AUTO_REPLY';
  if (header('list-id') !== '' || /^(?:list|bulk|junk)\b/.test(header('precedence'))) return 'LIST';
  return sender === '' ? 'BOUNCE' : null;
}
