import type { LetterLine } from './letter-lines.ts';
import { FORWARDED_MESSAGE, HEADER_LABELS, type HeaderLabel, ON, ORIGINAL_MESSAGE, WROTE } from './mail-words.ts';

/** Longer lines are prose. */
const MAX_BORDER = 400;
/** How many lines a line above a quote may have been broken into. */
const MAX_BROKEN = 3;
/** How many lines of a block of headers are looked at. */
const MAX_BLOCK = 12;

const escaped = (word: string) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const anyOf = (words: readonly string[]) => words.map(escaped).join('|');

/** Only a word of its own: `é` and the like are no borders for `\b`. */
const HAS_WROTE = new RegExp(
  `(?<![\\p{L}])(?:${anyOf(WROTE)})(?![\\p{L}])|写道|寫道|写到|작성|のメール|のメッセージ`,
  'u',
);
/** Some programs leave the colon out. */
const ENDS_WITH_WROTE = new RegExp(`\\s(?:${anyOf(WROTE)})[-\\s]{0,10}$`, 'u');
const BEGINS_ON = new RegExp(`^[-*\\s"]{0,5}(?:(?:${anyOf(ON)})[\\s,]|在|於|于|ב-|ב)`, 'u');
const BEGINS_WITH_DATE =
  /^[-*\s]{0,5}(?:\p{L}{2,12}\.?,? )?(?:\d{1,4}[./年-]|\d{1,2}\.? \p{L}{3,12}|\p{L}{3,9} \d{1,2},)/u;
const TIME = /\d{1,2}[:.h٫时時点點]\s?\d{2}|[٠-٩]{1,2}:[٠-٩]{2}|\d{1,2} (?:a|p)\.?m\b|下午|上午|오전|오후/iu;
const DATE = /(?:19|20)\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2}|٢٠[٠-٩]{2}/u;
const ADDRESS = /[^\s<>@"()]{1,64}@[^\s<>@"()]{1,190}/u;
const ADDRESSES = new RegExp(ADDRESS, 'gu');

/** What is between a row of dashes and another one. */
const dashed = (words: readonly string[]) =>
  new RegExp(`^[-_=*—─\\s]{2,60}(?:${anyOf(words)})[-_=*—─:\\s]{0,60}$`, 'u');
const DASHED_ORIGINAL = dashed(ORIGINAL_MESSAGE);
const DASHED_FORWARDED = new RegExp(`^[-_=*—─\\s]{2,60}(?:${anyOf(FORWARDED_MESSAGE)})`, 'u');
const COLON_FORWARDED = new RegExp(`^(?:${anyOf(FORWARDED_MESSAGE)})\\s?[:：]$`, 'u');
/** The words in it begin and end with no space, so that there are not many ways to read a line that is none. */
const RULE = /^[-_=*—─\s]{5,}(?:[^-_=*—─\s](?:[^-_=*—─]{0,58}[^-_=*—─\s])?[-_=*—─\s]{5,})?$/u;

const plain = (text: string) => text.trim().toLowerCase().replaceAll('’', "'").replaceAll('\u00A0', ' ');

/** Whether this line begins a forwarded letter. */
export function isForwardBorder({ text }: LetterLine): boolean {
  if (text.length > 120) return false;
  const line = plain(text);
  return DASHED_FORWARDED.test(line) || COLON_FORWARDED.test(line);
}

/** Whether this line says that all below it is the letter that was answered. */
export function isOriginalBorder({ text }: LetterLine): boolean {
  return text.length <= 120 && DASHED_ORIGINAL.test(plain(text));
}

/** Whether it is a line drawn across, with or without words in it. */
export function isRule({ text }: LetterLine): boolean {
  return text.length <= 160 && RULE.test(text);
}

/** A line that says who wrote the quote below it. */
export interface Attribution {
  /** How many lines it was broken into. */
  lines: number;
  /** Whether it is one even when no quote is marked below it. */
  isCertain: boolean;
}

/** The attribution that begins at `lines[at]`; null when none does. */
export function attributionAt(lines: readonly LetterLine[], at: number): Attribution | null {
  const first = lines[at]?.text.trim() ?? '';
  if (first === '') return null;
  let joined = '';
  for (let count = 1; count <= MAX_BROKEN; count += 1) {
    const line = lines[at + count - 1];
    const text = line?.text.trim() ?? '';
    if (!line || line.depth > 0 || text === '') return null;
    joined = count === 1 ? text : `${joined} ${text}`;
    if (joined.length > MAX_BORDER) return null;
    if (count > 1 && !opens(first)) return null;
    const isCertain = certainty(joined);
    if (isCertain !== null) return { lines: count, isCertain };
  }
  return null;
}

const opens = (text: string) => BEGINS_ON.test(text.toLowerCase()) || BEGINS_WITH_DATE.test(text) || text.includes('<');

/** Whether a text certainly is an attribution; null when it is none. */
function certainty(text: string): boolean | null {
  const lower = text.toLowerCase();
  const without = lower.replace(ADDRESSES, '');
  const hasAddress = without !== lower;
  const isDated = TIME.test(without) && DATE.test(without);
  if (!/[:：][-*\s]{0,5}$/.test(text)) return hasAddress && isDated && ENDS_WITH_WROTE.test(without) ? true : null;
  if (HAS_WROTE.test(without)) {
    const begins = BEGINS_ON.test(lower) || BEGINS_WITH_DATE.test(text) || hasAddress;
    return begins && (isDated || (hasAddress && DATE.test(without)));
  }
  // Some languages say only when, and who.
  return hasAddress && isDated ? true : null;
}

/** How many lines, from `lines[at]` on, are the block of headers of a letter; 0 when there is none. */
export function headerBlockAt(lines: readonly LetterLine[], at: number): number {
  const first = labelled(lines[at]?.text ?? '');
  if (!first || first.label === 'to' || first.label === 'cc') return 0;
  const depth = lines[at]?.depth;
  const found = new Map<HeaderLabel, string>();
  let end = at;
  for (let index = at; index < lines.length && index < at + MAX_BLOCK; index += 1) {
    const line = lines[index];
    if (!line || line.depth !== depth || line.text.trim() === '') break;
    const header = labelled(line.text);
    if (header && !found.has(header.label)) {
      found.set(header.label, header.value);
      end = index + 1;
    }
  }
  const from = found.get('from');
  if (from === undefined || found.size < 3) return 0;
  return found.has('subject') || ADDRESS.test(from) ? end - at : 0;
}

function labelled(text: string): { label: HeaderLabel; value: string } | null {
  if (text.length > 2000) return null;
  const match = /^[*_]{0,3}([^:：]{1,24}?)[\s*_]{0,5}[:：](.*)$/u.exec(text.trim());
  const label = HEADER_LABELS.get(match?.[1]?.toLowerCase() ?? '');
  return label ? { label, value: match?.[2] ?? '' } : null;
}
