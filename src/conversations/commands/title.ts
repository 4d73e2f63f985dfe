import { valueLimits } from '../../value-reader.ts';
import type { NewFragment } from '../model.ts';

/** The longest title that is made, in characters as people see them. In bytes it is no longer than one that is given. */
const MAX_TITLE = 80;

/** How much of a text a title is made from, in UTF-16 code units. */
const MAX_READ = 2000;

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** A title made from a message: the beginning of its first text, on one line and without markup. Null if nothing is left. */
export function titleOf(fragments: readonly NewFragment[]): string | null {
  const [text] = fragments.flatMap((fragment) => (fragment.kind === 'TEXT' ? [fragment.text] : []));
  const plain = withoutMarkup((text ?? '').slice(0, MAX_READ))
    .replace(/(?:(?!\u200D)[\p{C}\s])+/gu, ' ')
    .trim();
  const characters = [...graphemes.segment(plain)].map(({ segment }) => segment);
  if (characters.length <= MAX_TITLE && Buffer.byteLength(plain) <= valueLimits.line) return plain || null;
  const start = beginningOf(characters.slice(0, MAX_TITLE - 1), valueLimits.line - Buffer.byteLength('…'));
  // Ends with a whole word, unless the last one is most of it.
  const space = start.lastIndexOf(' ');
  return `${space > start.length / 2 ? start.slice(0, space) : start}…`;
}

/** As many whole characters as fit into so many bytes. */
function beginningOf(characters: readonly string[], bytes: number): string {
  let left = bytes;
  const end = characters.findIndex((character) => (left -= Buffer.byteLength(character)) < 0);
  return characters.slice(0, end < 0 ? characters.length : end).join('');
}

/** Takes away the tags of HTML and the marks of Markdown. */
function withoutMarkup(text: string): string {
  return (
    text
      .replace(/<[^<>]*>/g, ' ')
      .replace(/!?\[([^[\]]*)\]\([^()\s]*\)/g, '$1')
      .replace(/^[ \t]*(?:#{1,6}|>|[-*+]|\d{1,9}[.)])[ \t]+/gm, '')
      .replace(/[*`~]{1,3}(?=\S)|(?<=\S)[*`~]{1,3}/g, '')
      // Within a word an underscore is a letter.
      .replace(/(?<![\p{L}\p{N}_])_{1,3}(?=\S)|(?<=\S)_{1,3}(?![\p{L}\p{N}_])/gu, '')
  );
}
