import type pg from 'pg';
import { inTransaction, type Pool } from '../db.ts';
import { NotFoundError } from '../errors.ts';
import { decodeId } from '../ids.ts';
import { ValueReader } from '../value-reader.ts';
import { writeArticles } from './articles.ts';
import { type CorpusOwner, lockCorpusOf } from './corpora.ts';
import { type Article, articleLimits } from './read-article.ts';

/** How many questions one call may name. */
export const MAX_ANSWERED = articleLimits.questions;

interface Unanswered {
  id: string;
  corpusId: string;
  text: string;
}

/** Makes questions that had no answer questions of the article, and forgets them. All of them, or none. */
export async function answerWithArticle(
  { pool }: { pool: Pool },
  owner: CorpusOwner,
  input: { articleId: string; unansweredQuestionIds: readonly string[] },
): Promise<{ articleId: string; answeredIds: string[] }> {
  const articleId = decodeId('Article', input.articleId);
  if (articleId === null) throw new NotFoundError(['articleId']);
  const reader = new ValueReader();
  const ids = [...new Set(input.unansweredQuestionIds)];
  if (ids.length === 0 || ids.length > MAX_ANSWERED) {
    reader.refuse(
      ['unansweredQuestionIds'],
      `Must name 1 to ${MAX_ANSWERED} questions, not ${ids.length}.`,
      'OUT_OF_RANGE',
    );
  }
  reader.finish();
  return inTransaction(pool, async (db) => {
    const corpusId = await lockCorpusOf(db, owner, articleId);
    const article = corpusId === null ? null : await readArticleRow(db, articleId);
    if (corpusId === null || article === null) throw new NotFoundError(['articleId']);
    const asked = await takeUnanswered(db, owner, ids);
    for (const question of asked) {
      if (question.corpusId === corpusId) continue;
      const index = input.unansweredQuestionIds.findIndex((id) => decodeId('UnansweredQuestion', id) === question.id);
      reader.refuse(['unansweredQuestionIds', String(index)], 'Was asked of another corpus than that of the article.');
    }
    const questions = [...new Set([...article.questions, ...asked.map(({ text }) => text)])];
    if (questions.length > articleLimits.questions) {
      const detail = `The article would have ${questions.length} questions; at most ${articleLimits.questions} are allowed.`;
      reader.refuse(['unansweredQuestionIds'], detail, 'TOO_LARGE');
    }
    reader.finish();
    await writeArticles(db, corpusId, [{ ...article, questions }]);
    return { articleId, answeredIds: asked.map(({ id }) => id) };
  });
}

async function readArticleRow(
  db: pg.PoolClient,
  articleId: string,
): Promise<(Article & { questions: string[] }) | null> {
  const { rows } = await db.query<Article & { questions: string[] }>({
    text: 'SELECT slug, title, body, url, tags, questions FROM article WHERE id = $1',
    values: [articleId],
  });
  return rows[0] ?? null;
}

/** Deletes them in the transaction; returns them in the order that they were named in. */
async function takeUnanswered(
  db: pg.PoolClient,
  { organizationId }: CorpusOwner,
  ids: readonly string[],
): Promise<Unanswered[]> {
  const uuids = ids.map((id, index) => {
    const uuid = decodeId('UnansweredQuestion', id);
    if (uuid === null) throw new NotFoundError(['unansweredQuestionIds', String(index)]);
    return uuid;
  });
  const { rows } = await db.query<Unanswered>({
    text: `DELETE FROM unanswered_question WHERE id = ANY ($1::uuid[]) AND organization_id = $2
      RETURNING id, corpus_id AS "corpusId", text`,
    values: [uuids, organizationId],
  });
  return uuids.map((uuid, index) => {
    const found = rows.find(({ id }) => id === uuid);
    if (!found) throw new NotFoundError(['unansweredQuestionIds', String(index)]);
    return found;
  });
}
