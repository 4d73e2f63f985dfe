import type { Queryable } from '../db.ts';
import { fillers, otherForms } from './english.ts';
import { correctSpelling } from './spelling.ts';
import { synonymsOf } from './synonyms.ts';

/** A word of a question, and what finds it in a corpus. */
export interface AskedWord {
  /** The stems of the word and of its other forms. */
  own: Found;
  /** The stems of its synonyms. */
  synonyms: Found;
  /** In what part of the passages of the corpus the word stands, at most 1. */
  share: number;
  /** The rarer the word is in the corpus, the more; one that the corpus does not have weighs most. */
  weight: number;
}

/** Stems, and in how many passages at most they stand. */
export interface Found {
  terms: string[];
  passages: number;
}

const MAX_WORDS = 50;
const MAX_CHARACTERS = 1000;

/**
 * The words of the question that say what is asked, each once, the misspelt ones as they were meant. Its first 1,000 characters
 * and first 50 words, fillers aside, count.
 */
export async function askedWords(
  db: Queryable,
  corpusId: string,
  question: string,
  { unknown, rarity }: { unknown: number; rarity: number },
): Promise<AskedWord[]> {
  const words = contentWords(question.slice(0, MAX_CHARACTERS));
  if (words.length === 0) return [];
  const found = await lookUp(db, corpusId, words);
  const suspects = words.filter((word) => found.get(word)?.isKnown === false);
  const corrections = suspects.length > 0 ? await correctSpelling(db, corpusId, suspects) : new Map<string, string>();
  const weigh = (word: LookedUp) => ({ ...word, weight: word.weight ** rarity * (word.isKnown ? 1 : unknown) });
  if (corrections.size === 0) return distinct(found).map(weigh);
  const meant = words.map((word) => corrections.get(word) ?? word).filter((word) => !fillers.has(word));
  return distinct(await lookUp(db, corpusId, meant)).map(weigh);
}

/** The words that say what is asked, in small letters, each once. Joined by other signs than a hyphen they are one, as in `16.4`. */
export function contentWords(question: string): string[] {
  const text = question
    .toWellFormed()
    .toLowerCase()
    .replace(/(\p{L})['’](?:s|d|m|ll|re|ve)(?!\p{L})/gu, '$1')
    .replace(/(n)['’](t)(?!\p{L})/gu, '$1$2')
    // Several of a number: 429s.
    .replace(/(?<=\p{N})s(?![\p{L}\p{N}])/gu, '');
  const words = text.match(/[\p{L}\p{M}\p{N}]+(?:[.@/:_][\p{L}\p{M}\p{N}]+)*/gu) ?? [];
  return [...new Set(words)].filter((word) => !fillers.has(word)).slice(0, MAX_WORDS);
}

type Role = 'word' | 'forms' | 'synonyms';
const roles: readonly Role[] = ['word', 'forms', 'synonyms'];

interface LookedUp extends AskedWord {
  /** Whether the corpus has the word as it is, but for its ending. */
  isKnown: boolean;
}

/** The words that are no stop words, with what the corpus has of them. */
async function lookUp(db: Queryable, corpusId: string, words: readonly string[]): Promise<Map<string, LookedUp>> {
  const texts = words.flatMap((word) => [word, otherForms(word).join(' '), synonymsOf(word).join(' ')]);
  const { rows } = await db.query<{ n: number; term: string; passages: number }>({
    name: 'look-up-terms',
    text: `
      SELECT n::int, asked.term, coalesce(passages, 0) AS passages
      FROM (
        SELECT 0 AS n, '' AS term
        UNION ALL
        SELECT n, term FROM unnest($2::text[]) WITH ORDINALITY AS asked (text, n),
          unnest(tsvector_to_array(to_tsvector('english'::regconfig, text))) AS term
      ) AS asked
      LEFT JOIN corpus_term ON corpus_term.corpus_id = $1 AND corpus_term.term = asked.term`,
    values: [corpusId, texts],
  });
  const all = rows.find(({ n }) => n === 0)?.passages ?? 0;
  const termsOf = (index: number, role: Role) =>
    rows.filter(({ n }) => n === 1 + index * roles.length + roles.indexOf(role));
  return new Map(
    words.flatMap((word, index): [string, LookedUp][] => {
      const terms = termsOf(index, 'word');
      if (terms.length === 0) return [];
      const own = foundOf([...terms, ...termsOf(index, 'forms')]);
      const synonyms = foundOf(termsOf(index, 'synonyms').filter(({ term }) => !own.terms.includes(term)));
      const isKnown = terms.some(({ passages }) => passages > 0);
      const share = Math.min(1, own.passages / Math.max(all, 1));
      return [[word, { own, synonyms, share, weight: Math.log(1 + all / (1 + own.passages)), isKnown }]];
    }),
  );
}

function foundOf(rows: readonly { term: string; passages: number }[]): Found {
  const present = rows.filter(({ passages }) => passages > 0);
  return {
    terms: [...new Set(present.map(({ term }) => term))],
    passages: present.reduce((sum, { passages }) => sum + passages, 0),
  };
}

/** Two words with the same stems are one. */
function distinct(words: ReadonlyMap<string, LookedUp>): LookedUp[] {
  const seen = new Map<string, LookedUp>();
  for (const [word, asked] of words) {
    const key = asked.own.terms.length > 0 ? asked.own.terms.toSorted().join(' ') : word;
    if (!seen.has(key)) seen.set(key, asked);
  }
  return [...seen.values()];
}
