/** A part of an article that can answer a question by itself. */
export interface Passage {
  /** The headings above the passage, outermost first, joined by ` › `. Empty before the first heading. */
  heading: string;
  /** Markdown, never empty. */
  text: string;
}

interface Section {
  heading: string;
  /** Paragraphs, lists, tables and whole code blocks. */
  blocks: string[];
}

/** In UTF-16 units. A heading is part of each passage below it. */
const MAX_HEADING = 200;

/** Splits Markdown at its headings, and splits a section longer than `maxLength` UTF-16 units between its blocks. */
export function splitPassages(markdown: string, maxLength = 1200): Passage[] {
  return sections(markdown).flatMap(({ heading, blocks }) =>
    pack(
      blocks.flatMap((block) => (block.length <= maxLength ? [block] : divide(block, maxLength))),
      maxLength,
    ).map((text) => ({ heading, text })),
  );
}

function sections(markdown: string): Section[] {
  const found: Section[] = [];
  const path: { level: number; title: string }[] = [];
  let current: Section = { heading: '', blocks: [] };
  let block: string[] = [];
  let fence: string | null = null;
  const endBlock = () => {
    const text = block.join('\n').trimEnd();
    if (text) current.blocks.push(text);
    block = [];
  };
  for (const line of markdown.split(/\r?\n/)) {
    const [, hashes, rest = ''] = (fence === null && /^ {0,3}(#{1,6})([ \t].*)?$/.exec(line)) || [];
    if (hashes !== undefined) {
      endBlock();
      found.push(current);
      const level = hashes.length;
      while ((path.at(-1)?.level ?? 0) >= level) path.pop();
      path.push({ level, title: headingTitle(rest) });
      const titles = path.map((step) => step.title).filter((title) => title !== '');
      current = { heading: titles.join(' › '), blocks: [] };
    } else if (fence === null && line.trim() === '') {
      endBlock();
    } else {
      block.push(line);
      fence = fenceAfter(line, fence);
    }
  }
  endBlock();
  return [...found, current];
}

/** The text of a heading, without closing `#` signs. A very long one is cut. */
function headingTitle(rest: string): string {
  const line = rest.trim();
  const title = line.slice(0, codePointBoundary(line, Math.min(line.length, MAX_HEADING)));
  return title.replace(/(^|[ \t]+)#+$/, '').trimEnd();
}

/** The code fence that is open after this line, given the one that was open before it. */
function fenceAfter(line: string, open: string | null): string | null {
  const [, mark, rest = ''] = /^ {0,3}(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
  if (mark === undefined) return open;
  if (open === null) return mark.startsWith('`') && rest.includes('`') ? null : mark;
  return mark.startsWith(open) && rest.trim() === '' ? null : open;
}

/** Joins neighbouring pieces as long as they fit. */
function pack(pieces: string[], maxLength: number, separator = '\n\n'): string[] {
  const packed: string[] = [];
  for (const piece of pieces) {
    const last = packed.at(-1);
    if (last !== undefined && last.length + separator.length + piece.length <= maxLength) {
      packed[packed.length - 1] = last + separator + piece;
    } else {
      packed.push(piece);
    }
  }
  return packed;
}

/** Splits a block that is too long. The pieces of a code block are code blocks again. */
function divide(block: string, maxLength: number): string[] {
  const lines = block.split('\n');
  const opening = lines[0] ?? '';
  const fence = fenceAfter(opening, null);
  if (fence === null) return cut(block, maxLength);
  const closed = lines.length > 1 && fenceAfter(lines.at(-1) ?? '', fence) === null;
  const room = maxLength - opening.length - fence.length - 2;
  if (room < fence.length + opening.length) return cut(block, maxLength);
  const code = lines
    .slice(1, closed ? -1 : undefined)
    .flatMap((line) => (line.length <= room ? [line] : cut(line, room)));
  return pack(code, room, '\n').map((piece) => `${opening}\n${piece}\n${fence}`);
}

/** Cuts at the end of a line, a sentence or a word, whichever comes late enough. Never cuts inside a surrogate pair. */
function cut(text: string, maxLength: number): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (rest.length > maxLength) {
    const head = rest.slice(0, maxLength);
    const ends = [head.lastIndexOf('\n'), head.search(/[.!?…]\s+(?:[^\s.!?…][^.!?…]*)?$/) + 1, head.search(/\s\S*$/)];
    const end = ends.find((index) => index > maxLength / 3) ?? codePointBoundary(rest, maxLength);
    pieces.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  if (rest) pieces.push(rest);
  return pieces.filter((piece) => piece !== '');
}

function codePointBoundary(text: string, index: number): number {
  return (text.codePointAt(index - 1) ?? 0) > 0xffff && index > 1 ? index - 1 : index;
}
