import type { Queryable } from '../db.ts';

/** A passage that was found, and where it stands. */
export interface KnowledgePassage {
  articleId: string;
  title: string;
  /** Empty for what stands before the first heading. */
  heading: string;
  text: string;
  url: string | null;
  /** From 0 to 1: mostly how much of the question is covered. */
  score: number;
}

export interface KnowledgeQuery {
  corpusId: string;
  /** A question as people ask it; its first 50 words, fillers aside, and first 1,000 characters count. */
  query: string;
  /** 5 unless given, 50 at most. */
  limit?: number;
}

/** The share of the question's weight that a passage must cover. With less it has words in common with the question, but no answer. */
const threshold = 0.45;

/** Finds the passages of the corpus that answer the question, best first; none when the corpus does not know. */
export async function searchKnowledge(
  db: Queryable,
  { corpusId, query, limit = 5 }: KnowledgeQuery,
): Promise<KnowledgePassage[]> {
  const question = query.slice(0, 1000).replaceAll('\0', ' ');
  const { rows } = await db.query<KnowledgePassage>({
    name: 'search-knowledge',
    text: searchSql,
    values: [corpusId, question, threshold, Math.max(0, Math.min(limit, 50))],
  });
  return rows;
}

/** What passage_search_idx is an index on: written in any other way, the index is not used. */
const searchable = `(setweight(to_tsvector('english'::regconfig, title || ' ' || heading), 'A') || setweight(to_tsvector('english'::regconfig, text), 'B'))`;

/** Words that show that something is asked, and not what. */
const fillers = `ask could explain find get happen hello help hey hi know let like mean need please possible question show
  tell thank thing understand use want way work would`;

/**
 * Any word of the question finds a passage. The rarer a word is in the corpus, the more it weighs, and one that the corpus does
 * not have weighs most: a question about something unknown is not covered by what else it mentions. A word that stands
 * elsewhere in the passage's article counts in part. Only the passages that cover most are ranked by where their words stand,
 * because that parses them again; of equals the beginning of an article goes first.
 */
const searchSql = `
WITH word AS MATERIALIZED (
  SELECT lexeme, array_to_tsvector(ARRAY[lexeme])::text::tsquery AS query
  FROM unnest(ts_delete(
    to_tsvector('english'::regconfig, $2),
    tsvector_to_array(to_tsvector('english'::regconfig, '${fillers}'))
  ))
  ORDER BY positions[1] LIMIT 50
),
hit AS MATERIALIZED (
  SELECT lexeme, article_id, index FROM word JOIN passage ON corpus_id = $1 AND ${searchable} @@ word.query
),
weight AS MATERIALIZED (
  SELECT lexeme, ln(1 + (SELECT count(*) FROM passage WHERE corpus_id = $1)::float8 / (1 + count(article_id))) AS weight
  FROM word LEFT JOIN hit USING (lexeme) GROUP BY lexeme
),
article_weight AS (
  SELECT article_id, sum(weight) AS weight
  FROM (SELECT DISTINCT article_id, lexeme FROM hit) AS article_hit JOIN weight USING (lexeme)
  GROUP BY article_id
),
passage_weight AS (
  SELECT article_id, index, sum(weight) AS weight FROM hit JOIN weight USING (lexeme) GROUP BY article_id, index
),
candidate AS (
  SELECT article_id, index,
    (0.7 * passage_weight.weight + 0.3 * article_weight.weight) / (SELECT sum(weight) FROM weight) AS coverage
  FROM passage_weight JOIN article_weight USING (article_id)
  ORDER BY coverage DESC LIMIT 50
),
ranked AS (
  SELECT article_id, index, title, heading, text, 0.76 * coverage + CASE WHEN index = 0 THEN 0.04 ELSE 0 END
    + 0.2 * ts_rank_cd(${searchable}, (SELECT string_agg(query::text, ' | ')::tsquery FROM word), 1 | 32) AS score
  FROM candidate JOIN passage USING (article_id, index)
  WHERE coverage >= $3
)
SELECT ranked.article_id AS "articleId", ranked.title, ranked.heading, ranked.text, article.url, ranked.score
FROM ranked JOIN article ON article.id = ranked.article_id
ORDER BY ranked.score DESC, ranked.article_id, ranked.index
LIMIT $4`;
