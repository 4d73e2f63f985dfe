import type { Queryable } from '../db.ts';
import type { AskedWord } from './asked-words.ts';

/** A passage, or a question of an article, that has words of what is asked. */
export interface Candidate {
  articleId: string;
  index: number;
  isQuestion: boolean;
  /** How much of each asked word it has, in their order: the word itself, a synonym (less), or nothing. */
  has: number[];
}

/** Terms of a corpus, of which any or all must stand in a passage. */
type Query = string;

/** How many rows one search takes out of the index, for each set of common words, and how many of them it looks at more closely. */
const MAX_HITS = 1000;
const MAX_TOGETHER = 200;
const MAX_CANDIDATES = 400;
/** How many entries of the index are read for one set of common words, ten thousand of which take a millisecond. */
const MAX_READ = 100_000;
/** A word that more than this part of the passages have tells nothing of them while there are others. */
const USUAL = 0.5;

/**
 * The passages that have most of the asked words. In a corpus where they are few, these are all that have any. In a large one
 * the words that stand in many passages find none by themselves: they count in what the rarer words found, and in what has
 * several of them, if they do not stand in most.
 */
export async function findCandidates(
  db: Queryable,
  corpusId: string,
  words: readonly AskedWord[],
  { tags, synonym }: { tags: readonly string[]; synonym: number },
): Promise<Candidate[]> {
  const picks = picksOf(corpusId, words, synonym);
  if (picks.length === 0) return [];
  const roles = words.flatMap(({ own, synonyms }, word) => [
    { word, terms: own.terms, part: 1 },
    { word, terms: synonyms.terms, part: synonym },
  ]);
  const looked = roles.filter(({ terms }) => terms.length > 0);
  const { rows } = await db.query<{ articleId: string; index: number; isQuestion: boolean; matched: number[] }>({
    name: 'find-candidates',
    text: `
      WITH hit AS MATERIALIZED (
        SELECT min(tid) AS tid
        FROM unnest($2::text[], $3::float8[], $7::int[]) AS pick (query, weight, most)
          CROSS JOIN LATERAL (
            SELECT corpus_id, article_id, index, passage.ctid AS tid FROM passage WHERE terms @@ query::tsquery
              AND ($6::text[] IS NULL OR EXISTS (SELECT FROM article WHERE id = article_id AND tags && $6))
            LIMIT most
          ) AS found
        WHERE corpus_id = $1
        GROUP BY article_id, index
        ORDER BY sum(weight) DESC, article_id, index
        LIMIT ${MAX_CANDIDATES}
      )
      SELECT article_id AS "articleId", index, question AS "isQuestion",
        ARRAY(SELECT n FROM unnest($4::tsquery[], $5::int[]) AS asked (query, n) WHERE terms @@ query) AS matched
      FROM hit JOIN passage ON passage.ctid = tid`,
    values: [
      corpusId,
      picks.map(({ query }) => query),
      picks.map(({ weight }) => weight),
      looked.map(({ terms }) => anyOf(corpusId, terms)),
      looked.map((_, n) => n),
      tags.length > 0 ? tags : null,
      picks.map(({ most }) => most),
    ],
  });
  return rows.map(({ matched, ...row }) => {
    const has = words.map(() => 0);
    for (const n of matched) {
      const { word = 0, part = 0 } = looked[n] ?? {};
      has[word] = Math.max(has[word] ?? 0, part);
    }
    return { ...row, has };
  });
}

interface Pick {
  query: Query;
  weight: number;
  /** How many rows it may give. */
  most: number;
}

/** What is looked up in the index: the rarest words by themselves, as long as they find few passages. */
function picksOf(corpusId: string, words: readonly AskedWord[], synonym: number): Pick[] {
  const terms = words
    .flatMap(({ own, synonyms, weight }) => [
      { ...own, weight },
      { ...synonyms, weight: weight * synonym },
    ])
    .filter(({ passages }) => passages > 0)
    .sort((a, b) => a.passages - b.passages);
  const picks: Pick[] = [];
  let room = MAX_HITS;
  for (const { terms: any, passages, weight } of terms) {
    if (passages > room) break;
    picks.push({ query: anyOf(corpusId, any), weight, most: MAX_HITS });
    room -= passages;
  }
  if (picks.length > 0 && room < MAX_HITS / 2) return picks;
  const common = words
    .filter(({ own }) => own.passages > 0 && !picks.some(({ query }) => query === anyOf(corpusId, own.terms)))
    .sort((a, b) => a.share - b.share);
  const telling = common.filter(({ share }) => share <= USUAL);
  return [...picks, ...picksTogether(corpusId, picks.length + telling.length > 0 ? telling : common)];
}

/** Sets of common words, from the rarest on, the largest first: what few passages have together tells most of them. */
function picksTogether(corpusId: string, common: readonly AskedWord[]): Pick[] {
  const picks: Pick[] = [];
  let read = 0;
  const affordable = common.filter(({ own }, i) => (read += own.passages) <= MAX_READ || i === 0);
  for (const length of new Set([affordable.length, 3, 2, 1])) {
    const together = affordable.slice(0, length);
    if (together.length < length || length === 0) continue;
    const query = together.map(({ own }) => `(${anyOf(corpusId, own.terms)})`).join(' & ');
    picks.push({ query, weight: together.reduce((sum, { weight }) => sum + weight, 0), most: MAX_TOGETHER });
  }
  return picks;
}

/** As the function corpus_terms of the database writes them. */
function anyOf(corpusId: string, terms: readonly string[]): Query {
  return terms.map((term) => quoted(`${corpusId.slice(-8)} ${term}`)).join(' | ');
}

/** A stem as a tsquery takes it. */
export function quoted(lexeme: string): string {
  return `'${lexeme.replace(/['\\]/g, '$&$&')}'`;
}
