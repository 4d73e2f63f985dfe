/** The longest filename that is kept, in bytes. */
const MAX_BYTES = 200;

/** Control, format and bidirectional characters, line and paragraph separators, and what is no character. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** A filename without a path, without characters that are not seen or turn the text around, and short. Never empty. */
export function cleanFilename(given: string): string {
  const last = given.split(/[/\\]/).at(-1) ?? '';
  const name = last
    .toWellFormed()
    .normalize('NFC')
    .replace(unseen, '')
    .replace(/\s+/gu, ' ')
    .trim()
    .replace(/^\.+/, '');
  return shortened(name) || 'file';
}

/** Keeps the extension, so that the file still opens. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= MAX_BYTES) return name;
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0] ?? '';
  let stem = '';
  let left = MAX_BYTES - extension.length;
  for (const character of name.slice(0, name.length - extension.length)) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    stem += character;
  }
  return stem.trimEnd() + extension;
}
