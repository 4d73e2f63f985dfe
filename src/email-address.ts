/** One bare address: nothing in it lets a mail program take it for two, or for a name with an address. */
const PATTERN = /^[^\s\p{Cc}@,;:<>"()[\]\\]+@[^\s\p{Cc}@,;:<>"()[\]\\]+$/u;

/** Whether a text is one email address, such as `maria@shop.example`, without a name, a comment or quotation marks. */
export function isEmailAddress(text: string): boolean {
  return PATTERN.test(text);
}
