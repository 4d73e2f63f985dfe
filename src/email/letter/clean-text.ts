/** Control characters and marks of this module; not the marks of writing direction. */
const CONTROLS = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\ufeff\ufff9-\ufffb\ue000-\ue006]/g;

/** A text of lines that end in LF, without control characters. */
export function cleanText(text: string): string {
  return text
    .replace(/\r\n?|[\u0085\u2028\u2029\u000b\u000c]/g, '\n')
    .replace(CONTROLS, '')
    .replaceAll('\u00a0', ' ')
    .toWellFormed();
}

/** The same on one line. */
export function oneLine(text: string): string {
  return cleanText(text).replace(/\s+/g, ' ').trim();
}

/** At most `most` UTF-16 code units, without half a character at the end. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text;
  return text.slice(0, most).replace(/[\ud800-\udbff]$/, '');
}
