import type { Attachment } from 'postal-mime';
import type { LetterFile, LetterIssue } from './letter.ts';
import { oneLine } from './clean-text.ts';

const MAX_FILES = 20;
const MAX_NAME = 200;
/** What is read of a name, in UTF-16 code units: its end. No file system has longer ones. */
const MAX_READ_NAME = 255;
/** How many of the files that were left out an issue names. */
const MAX_NAMED = 20;

/** Signs that turn the direction of what follows: with them `exe.pdf` can be shown for `fdp.exe`. */
const DIRECTION = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const ENDINGS: Readonly<Record<string, string>> = {
  'message/rfc822': '.eml',
  'text/calendar': '.ics',
  'text/plain': '.txt',
  'text/html': '.html',
  'image/png': '.png',
  'image/jpeg': '.jpg',
  'image/gif': '.gif',
  'application/pdf': '.pdf',
};

/** The files of a letter: those that its text does not show come first when there are too many. */
export function filesOf(
  attachments: readonly Attachment[],
  html: string,
): { files: LetterFile[]; issues: LetterIssue[] } {
  const shown = new Set(Array.from(html.matchAll(/\bcid:([^"'\s>)]{1,500})/gi), ([, id = '']) => decoded(id)));
  const all = attachments.map((attachment, index) => fileOf(attachment, index, shown));
  const taken = new Set(
    [...all.filter(({ inline }) => !inline), ...all.filter(({ inline }) => inline)].slice(0, MAX_FILES),
  );
  const left = all.filter((file) => !taken.has(file));
  if (left.length === 0) return { files: all, issues: [] };
  const names = left.slice(0, MAX_NAMED).map(({ filename }) => filename.slice(0, 40));
  const others = left.length > MAX_NAMED ? ' and others' : '';
  const text = `The letter has ${all.length} files. ${left.length} were left out: ${names.join(', ')}${others}.`;
  return {
    files: all.filter((file) => taken.has(file)),
    issues: [{ code: 'TOO_MANY_FILES', text: text.slice(0, 1000) }],
  };
}

function fileOf(attachment: Attachment, index: number, shown: ReadonlySet<string>): LetterFile {
  const { content, mimeType } = attachment;
  const contentId =
    oneLine(attachment.contentId ?? '')
      .replace(/^<|>$/g, '')
      .slice(0, 500) || null;
  return {
    filename: nameOf(attachment.filename ?? '') || `file-${index + 1}${ENDINGS[mimeType] ?? ''}`,
    contentType: /^[\w.+-]{1,80}\/[\w.+-]{1,80}$/.test(mimeType) ? mimeType : 'application/octet-stream',
    bytes: typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content),
    inline: contentId !== null && shown.has(contentId),
    contentId,
  };
}

/** A bare name, cut in its middle so that its ending stays. */
function nameOf(written: string): string {
  const name = oneLine(written.slice(-MAX_READ_NAME))
    .replace(DIRECTION, '')
    .replace(/^.*[/\\]/, '')
    .replace(/^[\s.]+|[\s.]+$/g, '');
  const characters = Array.from(name);
  if (name.length <= MAX_NAME) return name;
  return characters.slice(0, 80).join('') + '…' + characters.slice(-15).join('');
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}
