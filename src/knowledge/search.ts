import type { Queryable } from '../db.ts';
import { encodeId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { fillers, otherForms } from './english.ts';
import { searchable } from './searchable.ts';
import { correctSpelling } from './spelling.ts';

/** A passage that was found, with its article. */
export interface KnowledgePassage {
  articleId: string;
  title: string;
  /** Empty before the first heading. */
  heading: string;
  text: string;
  url: string | null;
  /** From 0 to 1. Depends mostly on how much of the question is covered. */
  score: number;
}

export interface KnowledgeQuery {
  corpusId: string;
  /** A question as people ask it. The first 1,000 characters count, and in them the first 50 words other than fillers. */
  query: string;
  /** Search only articles with at least one of these tags. Left out or empty: all articles. */
  tags?: readonly string[];
  /** Default: 5. At most `MAX_PASSAGES`. */
  limit?: number;
}

export const MAX_PASSAGES = 50;

/** A reply's search in its agent's corpus. `queryMetadata.tags`, a list of strings, limits the search like `tags`. */
export interface KnowledgeRequest extends Omit<KnowledgeQuery, 'tags'> {
  queryMetadata?: JsonObject | null;
}

/** Finds the passages that answer a message's question, best first, with the public ids of their articles. */
export async function searchKnowledge(
  db: Queryable,
  { queryMetadata, ...query }: KnowledgeRequest,
): Promise<KnowledgePassage[]> {
  const passages = await findPassages(db, { ...query, tags: tagsOf(queryMetadata) });
  return passages.map((passage) => ({ ...passage, articleId: encodeId('Article', passage.articleId) }));
}

function tagsOf(queryMetadata: JsonObject | null | undefined): string[] {
  const tags = queryMetadata?.['tags'];
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** The share of the question that a passage must cover. With less it only has words in common with the question. */
const threshold = 0.38;

/** Finds the passages of the corpus that answer the question, best first. None if the corpus has no answer. */
export async function findPassages(
  db: Queryable,
  { corpusId, query, tags = [], limit = 5 }: KnowledgeQuery,
): Promise<KnowledgePassage[]> {
  const words = contentWords(query.slice(0, 1000));
  const corrections = await correctSpelling(db, corpusId, words);
  const asked = words.map((word) => corrections.get(word) ?? word).filter((word) => !fillers.has(word));
  if (asked.length === 0) return [];
  const { rows } = await db.query<KnowledgePassage>({
    name: 'search-knowledge',
    text: searchSql,
    values: [
      corpusId,
      asked,
      asked.map((word) => otherForms(word).join(' ')),
      tags.length > 0 ? tags : null,
      threshold,
      Math.max(0, Math.min(limit, MAX_PASSAGES)),
    ],
  });
  return rows;
}

/** The words that say what is asked, in lower case, without duplicates. Parts joined by a sign other than a hyphen are one word, as in `16.4`. */
function contentWords(question: string): string[] {
  const text = question
    .toWellFormed()
    .toLowerCase()
    .replace(/(\p{L})['’](?:s|d|m|ll|re|ve)(?!\p{L})/gu, '$1')
    .replace(/(n)['’](t)(?!\p{L})/gu, '$1$2');
  const words = text.match(/[\p{L}\p{M}\p{N}]+(?:[.@/:_][\p{L}\p{M}\p{N}]+)*/gu) ?? [];
  return [...new Set(words)].filter((word) => !fillers.has(word)).slice(0, 50);
}

/**
 * Any word of the question finds a passage. The rarer a word is in the corpus, the more it weighs. A word that the corpus does
 * not have weighs most, so that a question about something unknown is not covered by its other words. A word covers its share of
 * the question in three parts: by occurring in the text of the article, in the passage, and in the title. An article that lists
 * questions is also found by the one that is most like this question. Only one counts, since words scattered over
 * many questions say little. The more questions it lists, the less its text alone counts. Only the passages that cover most are ranked by where
 * their words occur, because that parses them again. Among equals the beginning of an article comes first. If only its questions
 * have the words, the beginning of the article is the answer.
 */
const searchSql = `
WITH word AS MATERIALIZED (
  SELECT DISTINCT ON (query) n, query
  FROM (
    SELECT n, string_agg(DISTINCT array_to_tsvector(ARRAY[lexeme])::text, ' | ')::tsquery AS query
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS asked (word, forms, n),
      unnest(tsvector_to_array(to_tsvector('english'::regconfig, word || ' ' || forms))) AS lexeme
    WHERE to_tsvector('english'::regconfig, word) <> ''
    GROUP BY n
  ) AS question
),
hit AS MATERIALIZED (
  SELECT n, article_id, index, question FROM word JOIN passage ON corpus_id = $1 AND ${searchable} @@ word.query
),
weight AS (
  SELECT n, ln(1 + (SELECT count(*) FROM passage WHERE corpus_id = $1)::float8 / (1 + count(article_id))) AS weight
  FROM word LEFT JOIN hit USING (n) GROUP BY n
),
share AS MATERIALIZED (
  SELECT n, query, weight / sum(weight) OVER () AS share FROM word JOIN weight USING (n)
),
in_article AS (
  SELECT article_id, sum(share) AS share, coalesce(sum(share) FILTER (WHERE in_text), 0) AS text_share
  FROM (SELECT article_id, n, bool_or(NOT question) AS in_text FROM hit GROUP BY article_id, n) AS each JOIN share USING (n)
  GROUP BY article_id
),
in_title AS (
  SELECT article.id AS article_id, sum(share) AS share
  FROM share JOIN article ON corpus_id = $1 AND to_tsvector('english'::regconfig, title) @@ share.query
  GROUP BY article.id
),
in_passage AS (
  SELECT article_id, index, question, sum(share) AS share, count(*) AS words FROM hit JOIN share USING (n)
  GROUP BY article_id, index, question
),
in_question AS (
  SELECT article_id, max(sqrt(share * words / length(to_tsvector('english'::regconfig, text)))) AS likeness
  FROM in_passage JOIN passage USING (article_id, index, question) WHERE question AND share > 0.2
  GROUP BY article_id
),
answer AS (
  SELECT article_id, index, share FROM in_passage WHERE NOT question
  UNION ALL
  SELECT article_id, 0, 0 FROM in_passage GROUP BY article_id HAVING bool_and(question)
),
candidate AS (
  SELECT article_id, index, article.url, coalesce(in_title.share, 0) AS title_share,
    greatest(
      (1 - 0.03 * least(cardinality(questions), 10))
        * (0.5 * in_article.text_share + 0.3 * answer.share + 0.2 * coalesce(in_title.share, 0)),
      0.25 * in_article.share + 0.1 * answer.share + 0.1 * coalesce(in_title.share, 0) + 0.5 * coalesce(likeness, 0)
    ) AS coverage
  FROM answer JOIN in_article USING (article_id) LEFT JOIN in_title USING (article_id)
    LEFT JOIN in_question USING (article_id) JOIN article ON article.id = article_id
  WHERE $4::text[] IS NULL OR article.tags && $4
  ORDER BY coverage DESC, index, article_id LIMIT ${MAX_PASSAGES}
)
SELECT article_id AS "articleId", title, heading, text, url,
  0.5 * coverage + 0.12 * title_share + CASE WHEN index = 0 THEN 0.02 ELSE 0 END
    + 0.12 * (
      SELECT coalesce(sum(share), 0) FROM share
      WHERE to_tsvector('english'::regconfig, heading) @@ share.query
        AND NOT to_tsvector('english'::regconfig, title) @@ share.query
    )
    + 0.12 * ts_rank_cd(${searchable}, (SELECT string_agg(query::text, ' | ')::tsquery FROM word), 1 | 32) AS score
FROM candidate JOIN passage USING (article_id, index)
WHERE coverage >= $5 AND NOT question
ORDER BY score DESC, article_id, index
LIMIT $6`;
