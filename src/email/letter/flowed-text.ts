/** What RFC 3676 lets the headers of a text say: lines that end in a space go on in the next one. */
export interface Flow {
  isFlowed: boolean;
  /** Whether that space is no part of the text. */
  isSpaceDeleted: boolean;
}

/**
 * The text with its lines joined. Lines are only joined to lines of the same quote: many programs leave a space at the end of what
 * they quote, and the answer below it is no part of that.
 */
export function unflowed(text: string, { isFlowed, isSpaceDeleted }: Flow): string {
  if (!isFlowed) return text;
  const joined: { quote: string; pieces: string[] }[] = [];
  let isOpen = false;
  for (const line of text.split('\n')) {
    const quote = /^>{0,50}/.exec(line)?.[0] ?? '';
    const content = line.slice(quote.length).replace(/^ /, '');
    const last = joined.at(-1);
    if (isOpen && last?.quote === quote && content !== '-- ') last.pieces.push(content);
    else joined.push({ quote, pieces: [content] });
    isOpen = content.endsWith(' ') && content !== '-- ';
    if (isOpen && isSpaceDeleted) joined.at(-1)?.pieces.push(joined.at(-1)?.pieces.pop()?.slice(0, -1) ?? '');
  }
  return joined.map(({ quote, pieces }) => (quote === '' ? '' : `${quote} `) + pieces.join('')).join('\n');
}
