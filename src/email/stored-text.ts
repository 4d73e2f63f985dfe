/** A text of at most so many bytes that can be stored: cut at a whole character, with a mark. */
export function storedText(given: string, maxBytes: number): string {
  const text = given.toWellFormed().replaceAll('\0', '');
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const mark = '…';
  let end = Math.max(0, maxBytes - Buffer.byteLength(mark));
  const bytes = Buffer.from(text);
  // Not within a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString() + mark;
}
