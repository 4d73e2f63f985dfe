import type { Attachment } from 'postal-mime';
import { cleanText, cutText } from './clean-text.ts';
import { linesOfHtml } from './html-lines.ts';
import type { LetterIssue } from './letter.ts';
import { type LetterLine, linesOfPlain, textOf } from './letter-lines.ts';
import { type LetterKind, newTextOf } from './new-text.ts';

const MAX_TEXT = 200_000;
/** What is read of a body, in UTF-16 code units. */
const MAX_SOURCE = 1_000_000;

export interface LetterText {
  text: string;
  newText: string;
  issues: LetterIssue[];
}

/** A letter's bodies, as far as it has them. */
export interface LetterBodies {
  html: string;
  plain: string;
}

/** The text of a letter: of its HTML, where that has any, since mail programs mark quotes in it. */
export function letterText({ html, plain }: LetterBodies, kind: LetterKind): LetterText {
  const issues: LetterIssue[] = [];
  const ofHtml = html.length > MAX_SOURCE && plain.trim() !== '' ? null : markedLines(html, issues);
  const isHtml = ofHtml?.some(({ text }) => text.trim() !== '') ?? false;
  const source = cleanText(cutText(plain, MAX_SOURCE));
  const lines = isHtml && ofHtml ? ofHtml : linesOfPlain(source);
  const text = cleanText(isHtml ? textOf(lines) : source.replace(/^\n+/, '').trimEnd());
  const newText = cleanText(newTextOf(lines, kind));
  const isCut = (isHtml ? html : plain).length > MAX_SOURCE || text.length > MAX_TEXT;
  if (isCut) {
    issues.push({ code: 'TEXT_CUT', text: `Only the first ${MAX_TEXT} characters of the text were read.` });
  }
  if (text.includes('\ufffd')) {
    issues.push({ code: 'CHARACTERS_LOST', text: 'Some characters of the text could not be read.' });
  }
  return { text: cutText(text, MAX_TEXT), newText: cutText(newText, MAX_TEXT), issues };
}

function markedLines(html: string, issues: LetterIssue[]): LetterLine[] | null {
  if (html.trim() === '') return null;
  const source = cutText(html, MAX_SOURCE);
  try {
    return linesOfHtml(source);
  } catch {
    issues.push({ code: 'BROKEN', text: 'The HTML of the letter could not be read: its bare text was taken.' });
    return linesOfPlain(cleanText(source.replace(/<[^<>]{0,5000}>/g, ' ')));
  }
}

/** Puts below a text what the letters say that were attached to it. */
export function withAttached(text: LetterText, attached: readonly string[]): LetterText {
  if (attached.length === 0) return text;
  const all = (own: string) => cutText([own, ...attached].filter((each) => each !== '').join('\n\n'), MAX_TEXT);
  return { ...text, text: all(text.text), newText: all(text.newText) };
}

export const isAttachedLetter = ({ mimeType }: Attachment) => mimeType === 'message/rfc822';
