import type { Queryable } from '../db.ts';
import type { AskedWord } from './asked-words.ts';
import { type Candidate, findCandidates, quoted } from './candidates.ts';
import { fillers } from './english.ts';
import { type ArticleEvidence, articlesOf, type PassageEvidence, promise, shareOf } from './rank.ts';
import type { Weights } from './weights.ts';

/** A passage with everything that its score is made of. */
export interface FoundEvidence {
  articleId: string;
  index: number;
  article: ArticleEvidence;
  found: PassageEvidence;
}

/** The questions and the articles that are looked at more closely, the most promising first. */
const MAX_QUESTIONS = 100;
const MIN_ARTICLES = 8;
/** The passages of an article beyond these count only where they have words of what is asked. */
const MAX_LEADING_PASSAGES = 40;

/** Gathers what the corpus has about the asked words: the passages of the articles that promise most. */
export async function gatherEvidence(
  db: Queryable,
  corpusId: string,
  words: readonly AskedWord[],
  { tags, limit, weights }: { tags: readonly string[]; limit: number; weights: Weights },
): Promise<FoundEvidence[]> {
  const candidates = await findCandidates(db, corpusId, words, { tags, synonym: weights.synonym });
  if (candidates.length === 0) return [];
  const weightOf = await weighQuestions(db, corpusId, words, candidates, weights.rarity);
  const articles = articlesOf(words, candidates, weightOf, weights)
    .map((article) => ({ article, promise: promise(article, weights) }))
    .sort((a, b) => b.promise - a.promise || (a.article.articleId < b.article.articleId ? -1 : 1))
    .slice(0, Math.max(MIN_ARTICLES, limit))
    .map(({ article }) => article);
  return readEvidence(db, words, candidates, articles);
}

/** What all the words of a question of an article weigh, fillers aside; null for those that have too little of what is asked. */
async function weighQuestions(
  db: Queryable,
  corpusId: string,
  words: readonly AskedWord[],
  candidates: readonly Candidate[],
  rarity: number,
): Promise<(candidate: Candidate) => number | null> {
  const alike = candidates
    .filter(({ isQuestion }) => isQuestion)
    .map((candidate) => ({ candidate, share: shareOf(words, candidate.has) }))
    .filter(({ share }) => share > 0.15)
    .sort((a, b) => b.share - a.share)
    .slice(0, MAX_QUESTIONS)
    .map(({ candidate }) => candidate);
  if (alike.length === 0) return () => null;
  const { rows } = await db.query<{ articleId: string; index: number; weight: number }>({
    name: 'weigh-questions',
    text: `
      WITH corpus AS (SELECT passages FROM corpus_term WHERE corpus_id = $1 AND term = ''),
      filler AS (SELECT unnest(tsvector_to_array(to_tsvector('english'::regconfig, $4))) AS term)
      SELECT article_id AS "articleId", index, sum(power(ln(1 + (SELECT passages FROM corpus)::float8 / (1 + passages)), $5)) AS weight
      FROM unnest($2::uuid[], $3::int[]) AS asked (article_id, index)
        JOIN passage USING (article_id, index)
        CROSS JOIN LATERAL unnest(tsvector_to_array(terms)) AS lexeme
        JOIN corpus_term ON corpus_term.corpus_id = $1 AND term = substr(lexeme, 10)
      WHERE term NOT IN (SELECT term FROM filler)
      GROUP BY article_id, index`,
    values: [
      corpusId,
      alike.map(({ articleId }) => articleId),
      alike.map(({ index }) => index),
      [...fillers].join(' '),
      rarity,
    ],
  });
  const weights = new Map(rows.map(({ articleId, index, weight }) => [`${articleId} ${index}`, weight]));
  return ({ articleId, index }) => weights.get(`${articleId} ${index}`) ?? null;
}

async function readEvidence(
  db: Queryable,
  words: readonly AskedWord[],
  candidates: readonly Candidate[],
  articles: readonly ArticleEvidence[],
): Promise<FoundEvidence[]> {
  const looked = words.map(({ own }) => own.terms.map(quoted).join(' | '));
  const hits = candidates.filter(({ isQuestion }) => !isQuestion);
  const { rows } = await db.query<{
    articleId: string;
    index: number;
    inTitle: number[];
    inHeading: number[];
    alike: number;
    namedQuestions: number;
  }>({
    name: 'read-evidence',
    text: `
      SELECT article_id AS "articleId", p.index,
        ARRAY(SELECT n FROM unnest($4::tsquery[], $5::int[]) AS a (query, n) WHERE in_title @@ query) AS "inTitle",
        ARRAY(SELECT n FROM unnest($4::tsquery[], $5::int[]) AS a (query, n) WHERE in_heading @@ query) AS "inHeading",
        coalesce((
          SELECT avg((lexeme = ANY (tsvector_to_array(p.terms)))::int)::float8
          FROM passage AS q, unnest(tsvector_to_array(q.terms)) AS lexeme
          WHERE q.article_id = p.article_id AND q.index = best
        ), 0) AS alike,
        cardinality(questions) AS "namedQuestions"
      FROM unnest($1::uuid[], $2::int[], $3::text[]) AS asked (article_id, best, hits)
        JOIN passage AS p USING (article_id)
        JOIN article ON article.id = article_id
        CROSS JOIN LATERAL (
          SELECT to_tsvector('english'::regconfig, p.title) AS in_title, to_tsvector('english'::regconfig, heading) AS in_heading
          -- Kept apart, so that each text is parsed once and not for every word.
          OFFSET 0
        ) AS parsed
      WHERE NOT question AND (p.index < ${MAX_LEADING_PASSAGES} OR p.index = ANY (hits::int[]))`,
    values: [
      articles.map(({ articleId }) => articleId),
      articles.map(({ bestQuestion }) => bestQuestion),
      articles.map(
        ({ articleId }) =>
          `{${hits
            .filter((hit) => hit.articleId === articleId)
            .map(({ index }) => index)
            .join(',')}}`,
      ),
      looked.filter((query) => query !== ''),
      looked.flatMap((query, n) => (query === '' ? [] : [n])),
    ],
  });
  const evidence = new Map(articles.map((article) => [article.articleId, article]));
  const hasOf = new Map(hits.map(({ articleId, index, has }) => [`${articleId} ${index}`, has]));
  const shareOfAll = (matched: readonly number[]) =>
    shareOf(
      words,
      words.map((_, n) => (matched.includes(n) ? 1 : 0)),
    );
  return rows.flatMap(({ articleId, index, inTitle, inHeading, alike, namedQuestions }) => {
    const article = evidence.get(articleId);
    if (!article) return [];
    const found = {
      passage: shareOf(words, hasOf.get(`${articleId} ${index}`) ?? []),
      title: shareOfAll(inTitle),
      heading: shareOfAll(inHeading.filter((n) => !inTitle.includes(n))),
      alike,
      isLead: index === 0,
      namedQuestions,
    };
    return [{ articleId, index, article, found }];
  });
}
