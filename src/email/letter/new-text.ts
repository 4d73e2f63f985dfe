import { type LetterLine, tidy } from './letter-lines.ts';
import { DEVICE_SIGNATURES } from './mail-words.ts';
import { attributionAt, headerBlockAt, isForwardBorder, isOriginalBorder, isRule } from './quote-borders.ts';

/** A delimiter with more below it begins no signature. */
const MAX_SIGNATURE = 20;

/** What the headers of a letter say about its kind. */
export interface LetterKind {
  /** It answers another one: what it quotes is that one. */
  isReply: boolean;
  /** It passes another one on. */
  isForward: boolean;
}

/**
 * The part of a letter that its writer newly wrote. Answers between the lines of a quote are kept, and so is the whole of what was
 * forwarded. Where cutting would leave nothing of a letter that was not quoted throughout, all is kept: rather too much than lost.
 */
export function newTextOf(lines: readonly LetterLine[], { isReply, isForward }: LetterKind): string {
  const segments: LetterLine[][] = [[]];
  const keep = (line: LetterLine) => segments.at(-1)?.push(line);
  const next = () => {
    if (segments.at(-1)?.length !== 0) segments.push([]);
  };
  let hasQuote = isReply;
  let isInQuote = false;
  let isCutUnmarked = false;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    if (!line) break;
    const isBlock = headerBlockAt(lines, at) > 0;
    const attribution = attributionAt(lines, at);
    // A border within a quote of the letter that is answered says nothing of this one.
    const isOutside = line.depth === 0 || !isInQuote;
    const isBorder = isBlock || line.isRest || line.depth > 0 || attribution?.isCertain;
    if ((isOutside && isForwardBorder(line)) || (isForward && isBorder)) {
      return tidy([...written(segments), '', ...unquoted(lines.slice(at))]);
    }
    if (line.isRest) break;
    if (line.depth > 0) {
      if (line.text !== '') isInQuote = true;
      if (line.isMarked || hasQuote) next();
      else keep(line);
      continue;
    }
    if (isBlock || isOriginalBorder(line)) {
      isCutUnmarked = true;
      break;
    }
    if (attribution) {
      const below = lines.slice(at + attribution.lines).find(({ text }) => text !== '');
      const isQuoteBelow = below !== undefined && below.depth > 0;
      if (isQuoteBelow || attribution.isCertain) {
        hasQuote = true;
        next();
        if (!isQuoteBelow) {
          isCutUnmarked = below !== undefined;
          break;
        }
        at += attribution.lines - 1;
        continue;
      }
    }
    keep(line);
  }
  const text = tidy(written(segments));
  return text === '' && isCutUnmarked ? tidy(unquoted(lines)) : text;
}

/** What is kept, without signatures. */
function written(segments: readonly LetterLine[][]): string[] {
  return segments.flatMap((segment) => {
    const withoutMarked = segment.filter(({ isSignature }) => !isSignature);
    const lines = withoutMarked.some(({ text }) => text.trim() !== '') ? withoutMarked : segment;
    return [...withoutSignature(lines).map(({ text, depth }) => '> '.repeat(depth) + text), ''];
  });
}

function withoutSignature(lines: readonly LetterLine[]): LetterLine[] {
  const delimiter = lines.findLastIndex(({ text, depth }) => depth === 0 && /^--\s?$/.test(text));
  const isDelimiter = delimiter >= 0 && lines.length - delimiter - 1 <= MAX_SIGNATURE;
  const kept = lines.slice(0, isDelimiter ? delimiter : lines.length);
  for (let last = kept.at(-1); last && isNothing(last); last = kept.at(-1)) kept.pop();
  return kept;
}

/** An empty line, a line drawn across, or what a telephone puts below a letter. */
function isNothing(line: LetterLine): boolean {
  const text = line.text.trim().toLowerCase();
  return text === '' || isRule(line) || (text.length <= 120 && DEVICE_SIGNATURES.some((pattern) => pattern.test(text)));
}

/** Forwarded lines, without the one quote that all of it stands in. */
function unquoted(lines: readonly LetterLine[]): string[] {
  return lines.map(({ text, depth }) => '> '.repeat(Math.max(0, depth - 1)) + text);
}
