import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The separator of the sorted list, which stays one string: splitting it would take more time and memory. */
const separator = '","';
let sortedWords: string | undefined;

/** Whether a lower-case word is among some 275,000 English words. Inflected forms are included, names are not. */
export function isEnglish(word: string): boolean {
  sortedWords ??= readWords();
  let [low, high] = [0, sortedWords.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const before = sortedWords.lastIndexOf(separator, middle);
    const start = before < low ? low : before + separator.length;
    const after = sortedWords.indexOf(separator, start);
    const end = after === -1 ? sortedWords.length : after;
    const found = sortedWords.slice(start, end);
    if (found === word) return true;
    if (found < word) low = end + separator.length;
    else high = start - separator.length;
  }
  return false;
}

function readWords(): string {
  const json = readFileSync(createRequire(import.meta.url).resolve('an-array-of-english-words'), 'latin1');
  return json.trim().slice('["'.length, -'"]'.length);
}
