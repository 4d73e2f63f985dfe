import type { LetterIssue } from './letter.ts';
import { utf8Headers } from './raw-headers.ts';

/** What is read of the headers at the beginning, in bytes. */
const MAX_HEAD = 256 * 1024;
/** What is read of the headers of each part, in bytes. */
const MAX_PART_HEAD = 16 * 1024;
const MAX_PARTS = 1000;
/** How many parts that have parts of their own are read. */
const MAX_MULTIPARTS = 100;

const MULTIPART = /\bboundary(\*\d{0,2}\*?)?[ \t\r\n]{0,10}=[ \t\r\n]{0,10}(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))/gi;

export interface BoundedLetter {
  raw: Buffer;
  issues: LetterIssue[];
}

/**
 * A letter with no more headers and parts than its reading may cost, and with its headers in UTF-8. `charset` is that of headers
 * that say nothing themselves.
 */
export function boundedLetter(raw: Buffer, charset: string): BoundedLetter {
  const issues: LetterIssue[] = [];
  const { delimiters, end } = delimitersOf(raw);
  if (end < raw.length) {
    issues.push({
      code: 'TOO_DEEP',
      text: `The letter has more than ${MAX_MULTIPARTS} parts with parts of their own. The others were left out.`,
    });
  }
  const pieces: Buffer[] = [];
  const bodyAt = headEnd(raw, 0, end);
  const head = utf8Headers(raw.subarray(0, bodyAt), charset);
  if (head.length > MAX_HEAD) {
    issues.push({
      code: 'TOO_MANY_HEADERS',
      text: `The letter has more than ${MAX_HEAD / 1024} KiB of headers. The rest was left out.`,
    });
    pieces.push(head.subarray(0, head.lastIndexOf('\n', MAX_HEAD) + 1), Buffer.from('\n'));
  } else pieces.push(head);
  let copied = bodyAt;
  let parts = 0;
  for (let line = raw.indexOf('\n--', bodyAt - 1); line >= 0 && line < end; line = raw.indexOf('\n--', line + 1)) {
    const begin = line + 1;
    if (!isDelimiter(raw, begin, delimiters)) continue;
    parts += 1;
    if (parts > MAX_PARTS) {
      issues.push({
        code: 'TOO_MANY_PARTS',
        text: `The letter has more than ${MAX_PARTS} parts. The others were left out.`,
      });
      return { raw: Buffer.concat([...pieces, raw.subarray(copied, begin)]), issues };
    }
    const partHead = raw.subarray(begin, Math.min(headEnd(raw, begin, end), begin + MAX_PART_HEAD));
    const readable = utf8Headers(partHead, charset);
    if (readable === partHead) continue;
    pieces.push(raw.subarray(copied, begin), readable);
    copied = begin + partHead.length;
  }
  return { raw: Buffer.concat([...pieces, raw.subarray(copied, end)]), issues };
}

/** The delimiters of parts that are declared anywhere, and where the letter has to end so that they are not too many. */
function delimitersOf(raw: Buffer): { delimiters: Set<string>; end: number } {
  const delimiters = new Set<string>();
  let declared = 0;
  for (const match of raw.toString('latin1').matchAll(MULTIPART)) {
    declared += 1;
    if (declared > MAX_MULTIPARTS) return { delimiters, end: match.index };
    delimiters.add(`--${match[2] ?? match[3] ?? ''}`);
  }
  return { delimiters, end: raw.length };
}

function isDelimiter(raw: Buffer, at: number, delimiters: ReadonlySet<string>): boolean {
  const newline = raw.indexOf(0x0a, at);
  const end = newline < 0 ? raw.length : newline;
  if (end - at > 300) return false;
  const line = raw.toString('latin1', at, end).trimEnd();
  return delimiters.has(line) || (line.endsWith('--') && delimiters.has(line.slice(0, -2)));
}

/** Where the body begins whose headers begin at `from`: behind the first empty line. */
function headEnd(raw: Buffer, from: number, end: number): number {
  if (raw[from] === 0x0a) return from + 1;
  for (let at = raw.indexOf(0x0a, from); at >= 0 && at < end; at = raw.indexOf(0x0a, at + 1)) {
    if (raw[at + 1] === 0x0a) return at + 2;
    if (raw[at + 1] === 0x0d && raw[at + 2] === 0x0a) return at + 3;
  }
  return end;
}
