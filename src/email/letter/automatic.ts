import type { AutomaticLetter } from './letter.ts';

export interface AutomaticSigns {
  /** A header's value in lower case; empty when the letter has none of this name. */
  header: (name: string) => string;
  /** The envelope's sender; null when it is not known. */
  sender: string | null;
  /** The address of From. */
  from: string | null;
  /** What a report on a delivery says of each recipient, in lower case: `failed`, `delayed`, `delivered` and the like. */
  actions: readonly string[];
}

/** Machines have the first of the names; the second is also that of the person who keeps a mail server. */
const [MACHINE, KEEPER] = [/^mailer-daemon@/i, /^postmaster@/i];

/** Whether a letter was sent by a machine or to many: by the marks of RFC 3834, RFC 3464, RFC 2919 and what programs use beside. */
export function automaticLetter({ header, sender, from, actions }: AutomaticSigns): AutomaticLetter | null {
  const type = header('content-type');
  const isReport = type.startsWith('multipart/report');
  // That a letter is late, or has arrived, is no bounce.
  const hasFailed = actions.length === 0 || actions.includes('failed');
  if (header('x-failed-recipients') !== '' && hasFailed) return 'BOUNCE';
  if (isReport && /report-type\s{0,5}=\s{0,5}"?delivery-status/.test(type)) return hasFailed ? 'BOUNCE' : 'AUTO_REPLY';
  const submitted = header('auto-submitted');
  const isAnswer =
    /^auto-(?:replied|generated|notified)/.test(submitted) ||
    isReport ||
    /\b(?:all|oof|autoreply)\b/.test(header('x-auto-response-suppress')) ||
    ['x-autoreply', 'x-autorespond', 'x-autoresponder', 'x-auto-reply'].some((name) => header(name) !== '') ||
    /^auto[-_]?reply/.test(header('precedence'));
  if (from !== null && hasFailed && (MACHINE.test(from) || (KEEPER.test(from) && (isAnswer || sender === ''))))
    return 'BOUNCE';
  if (isAnswer) return 'AUTO_REPLY';
  if (header('list-id') !== '' || /^(?:list|bulk|junk)\b/.test(header('precedence'))) return 'LIST';
  if (sender !== '') return null;
  return hasFailed ? 'BOUNCE' : 'AUTO_REPLY';
}
