import type { Queryable } from '../db.ts';
import type { JsonObject } from '../json.ts';
import { askedWords } from './asked-words.ts';
import { gatherEvidence } from './evidence.ts';
import { certaintyOf, score } from './rank.ts';
import * as chosen from './weights.ts';
import type { Certainty, Weights } from './weights.ts';

/** A passage that was found, with its article. */
export interface KnowledgePassage {
  articleId: string;
  title: string;
  /** Empty before the first heading. */
  heading: string;
  text: string;
  url: string | null;
  /** From 0 to 1: how well it answers. */
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
const MAX_NEAR = 2;

/** A passage is part of what was found from this part of the best one's score on. */
const RELEVANT = 0.6;

/** What a search comes to. */
export interface KnowledgeFound {
  /** Those that answer, best first; none when the corpus does not know. */
  passages: KnowledgePassage[];
  /** When it does not know: the best passages of up to two articles that are near the question. */
  near: KnowledgePassage[];
}

/** `queryMetadata.tags` of a message, a list of strings, narrows the search as `tags` does. */
export function tagsOf(queryMetadata: JsonObject | null | undefined): string[] {
  const tags = queryMetadata?.['tags'];
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** Finds the passages of the corpus that answer the question. */
export async function search(
  db: Queryable,
  { corpusId, query, tags = [], limit = 5 }: KnowledgeQuery,
  { weights, certainty }: { weights: Weights; certainty: Certainty } = chosen,
): Promise<KnowledgeFound> {
  const first = Math.max(0, Math.min(limit, MAX_PASSAGES));
  const words = await askedWords(db, corpusId, query, weights);
  if (first === 0) return { passages: [], near: [] };
  if (words.length === 0)
    return { passages: await read(db, await answeringExactly(db, corpusId, query, tags)), near: [] };
  const evidence = await gatherEvidence(db, corpusId, words, { tags, limit: first, weights });
  const scored = evidence
    .map(({ articleId, index, article, found }) => ({
      articleId,
      index,
      evidence: { article, found },
      score: score(article, found, weights),
    }))
    .sort((a, b) => b.score - a.score || (a.articleId < b.articleId ? -1 : 1) || a.index - b.index);
  const [best] = scored;
  if (!best) return { passages: [], near: [] };
  const ofArticles = scored.filter(
    ({ articleId }, i) => scored.findIndex((other) => other.articleId === articleId) === i,
  );
  const ahead = best.score - (ofArticles[1] ?? best).score;
  const sure = certaintyOf(words, best.evidence, ahead, certainty);
  if (sure >= certainty.threshold) {
    const answers = scored.filter((passage) => passage.score >= best.score * RELEVANT);
    return { passages: await read(db, answers.slice(0, first)), near: [] };
  }
  return { passages: [], near: sure >= certainty.near ? await read(db, ofArticles.slice(0, MAX_NEAR)) : [] };
}

type Scored = Pick<KnowledgePassage, 'articleId' | 'score'> & { index: number };

/** The beginning of the article that names this very question; for one whose words tell nothing, as `what is this`. */
async function answeringExactly(
  db: Queryable,
  corpusId: string,
  question: string,
  tags: readonly string[],
): Promise<Scored[]> {
  const { rows } = await db.query<{ articleId: string }>({
    name: 'answering-exactly',
    text: `
      SELECT article_id AS "articleId" FROM passage
      WHERE corpus_id = $1 AND question AND plain_question(text) = plain_question($2)
        AND ($3::text[] IS NULL OR EXISTS (SELECT FROM article WHERE id = article_id AND tags && $3))
      ORDER BY article_id LIMIT 1`,
    values: [corpusId, question.slice(0, 1000).replaceAll('\0', '').toWellFormed(), tags.length > 0 ? tags : null],
  });
  return rows.map(({ articleId }) => ({ articleId, index: 0, score: 1 }));
}

/** The texts of the passages, in their order. One that is gone meanwhile is left out. */
async function read(db: Queryable, scored: readonly Scored[]): Promise<KnowledgePassage[]> {
  if (scored.length === 0) return [];
  const { rows } = await db.query<Omit<KnowledgePassage, 'score'> & { n: number }>({
    name: 'read-passages',
    text: `
      SELECT n::int, article_id AS "articleId", passage.title, heading, text, url
      FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS found (article_id, index, n)
        JOIN passage USING (article_id, index) JOIN article ON article.id = article_id
      ORDER BY n`,
    values: [scored.map(({ articleId }) => articleId), scored.map(({ index }) => index)],
  });
  return rows.map(({ n, ...passage }) => ({ ...passage, score: scored[n - 1]?.score ?? 0 }));
}
