import type { Queryable } from '../db.ts';
import { isEnglish } from './dictionary.ts';
import { fillers } from './english.ts';

/**
 * For each misspelt word that the corpus does not have, the nearest word that it has. An English word
 * is never taken for misspelt: it asks for something that the corpus does not know.
 */
export async function correctSpelling(
  db: Queryable,
  corpusId: string,
  words: readonly string[],
): Promise<Map<string, string>> {
  const suspects = words.filter((word) => /^\p{L}{4,40}$/u.test(word));
  if (suspects.length === 0) return new Map();
  const { rows } = await db.query<{ word: string; similar: string[] }>({
    name: 'similar-words',
    text: `
      SELECT suspect AS word, ARRAY(SELECT similar_words($1, suspect)) AS similar
      FROM unnest($2::text[]) AS suspect
      WHERE NOT EXISTS (
        SELECT FROM corpus_term, unnest(tsvector_to_array(to_tsvector('english'::regconfig, suspect))) AS stem
        WHERE corpus_id = $1 AND term = stem AND passages > 0)`,
    values: [corpusId, suspects],
  });
  return new Map(
    rows.flatMap(({ word, similar }): [string, string][] => {
      const nearest = nearestWord(word, similar);
      return nearest === undefined ? [] : [[word, nearest]];
    }),
  );
}

/** The nearest candidate that the word may stand for. Among equals, the first. */
function nearestWord(word: string, candidates: readonly string[]): string | undefined {
  const sameLetters = candidates.find((candidate) => candidate.replaceAll('-', '') === word);
  if (sameLetters !== undefined || isEnglish(word)) return sameLetters;
  const near = [...candidates, ...fillers]
    .map((candidate) => ({ candidate, edits: Math.min(edits(word, candidate), edits(stem(word), stem(candidate))) }))
    .filter(({ candidate, edits }) => edits <= (word.length > 7 && candidate[0] === word[0] ? 2 : 1))
    .filter(({ candidate }) => word.length > 4 || hasLettersOf(word, candidate));
  return near.sort((a, b) => a.edits - b.edits)[0]?.candidate;
}

/** In a short word only swapped letters are a likely mistake. With a different letter it may just as well be a name. */
function hasLettersOf(word: string, other: string): boolean {
  return Array.from(word).sort().join() === Array.from(other).sort().join();
}

/** The word without an ending that the other word may lack. */
function stem(word: string): string {
  return word.replace(/(?<=.{4})(s|d|ing)$/, '');
}

/** Edit distance: how many letters must be changed, added, removed or swapped with their neighbour to turn one word into the other. */
function edits(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 2) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let fewest = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        fewest = Math.min(fewest, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(fewest);
    }
    beforeLast = last;
    last = row;
  }
  return last[to.length] ?? 0;
}
