/** Marks that the conversion from HTML leaves on lines of their own: what mail programs mark as quoted or as a signature. */
export const MARK = {
  quoteBegins: '\uE000',
  quoteEnds: '\uE001',
  signatureBegins: '\uE002',
  signatureEnds: '\uE003',
  /** All from here to the end is an earlier letter. */
  restIsQuoted: '\uE004',
  /** The same as the first two, of what may as well be a quotation of something else than a letter. */
  citationBegins: '\uE005',
  citationEnds: '\uE006',
} as const;

/** Every mark. */
export const MARKS = /[\uE000-\uE006]/g;

export interface LetterLine {
  text: string;
  /** How many quotes it stands in. */
  depth: number;
  /** Whether the mail program marked the quote as an earlier letter. */
  isMarked: boolean;
  isSignature: boolean;
  /** Whether the mail program marked all from here on as an earlier letter. */
  isRest: boolean;
}

/** The lines of a plain text. Each `>` before a line is a quote that it stands in. */
export function linesOfPlain(text: string): LetterLine[] {
  return text.split('\n').map((line) => {
    const { text, depth } = withoutSigns(line);
    return { text, depth, isMarked: false, isSignature: false, isRest: false };
  });
}

function withoutSigns(line: string): { text: string; depth: number } {
  const signs = /^(?: ?>){1,50}/.exec(line)?.[0];
  if (signs === undefined) return { text: line.trimEnd(), depth: 0 };
  return { text: line.slice(signs.length).replace(/^ /, '').trimEnd(), depth: signs.replaceAll(' ', '').length };
}

/** The lines of a text that was made of HTML and has marks. */
export function linesOfMarked(text: string): LetterLine[] {
  const lines: LetterLine[] = [];
  let marked = 0;
  let cited = 0;
  let signatures = 0;
  let isRest = false;
  for (const line of text.split('\n')) {
    switch (line.trim()) {
      case MARK.quoteBegins:
        marked += 1;
        break;
      case MARK.quoteEnds:
        marked -= 1;
        break;
      case MARK.citationBegins:
        cited += 1;
        break;
      case MARK.citationEnds:
        cited -= 1;
        break;
      case MARK.signatureBegins:
        signatures += 1;
        break;
      case MARK.signatureEnds:
        signatures -= 1;
        break;
      case MARK.restIsQuoted:
        isRest = true;
        break;
      default: {
        const { text, depth } = withoutSigns(
          line
            .replace(MARKS, '')
            .replaceAll('\u00A0', ' ')
            .replace(/^ (?=\w{1,6}\. )/, ''),
        );
        lines.push({
          text,
          depth: depth + marked + cited,
          isMarked: marked > 0,
          isSignature: signatures > 0,
          isRest,
        });
      }
    }
  }
  return lines;
}

/** The lines as one text, with `> ` before what is quoted and at most one empty line in a row. */
export function textOf(lines: readonly LetterLine[]): string {
  return tidy(lines.map(({ text, depth }) => '> '.repeat(Math.min(depth, 20)) + text));
}

/** Joins lines, without empty ones at both ends and with at most one in a row. */
export function tidy(lines: readonly string[]): string {
  const kept: string[] = [];
  for (const line of lines) {
    const text = line.trimEnd();
    if (text !== '' || (kept.length > 0 && kept.at(-1) !== '')) kept.push(text);
  }
  while (kept.at(-1) === '') kept.pop();
  return kept.join('\n').trim();
}
