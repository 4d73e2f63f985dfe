import type pg from 'pg';
import { newId } from '../ids.ts';
import type { Article } from './read-article.ts';
import { splitPassages } from './passages.ts';
import { addWords, deletePassages, removeUnusedWords } from './words.ts';

/** An article that was written. */
export interface WrittenArticle {
  id: string;
  slug: string;
  /** False if the article existed before. */
  created: boolean;
}

/**
 * Creates or updates the articles by their slugs, each once, and rebuilds the passages of those that changed. Returns only
 * these. The caller has locked the row of the corpus, so that the stored list of its words stays correct.
 */
export async function writeArticles(
  db: pg.PoolClient,
  corpusId: string,
  articles: readonly Article[],
): Promise<WrittenArticle[]> {
  const written: WrittenArticle[] = [];
  for (const batch of batches(articles)) {
    const rows = await upsert(db, corpusId, batch);
    written.push(...rows);
    const bySlug = new Map(batch.map((article) => [article.slug, article]));
    const changed = rows.flatMap(({ id, slug }) => {
      const article = bySlug.get(slug);
      return article ? [{ id, article }] : [];
    });
    if (changed.length > 0) await rebuildPassages(db, corpusId, changed);
  }
  return written;
}

/** Removes articles of a corpus. The caller has locked the corpus. */
export async function removeArticles(db: pg.PoolClient, corpusId: string, ids: readonly string[]): Promise<void> {
  const words = await deletePassages(db, ids);
  await db.query('DELETE FROM article WHERE id = ANY ($1::uuid[])', [ids]);
  await removeUnusedWords(db, corpusId, words);
}

/** Splits the articles so that no statement gets too large. */
function* batches(articles: readonly Article[]): Generator<Article[]> {
  let batch: Article[] = [];
  let length = 0;
  for (const article of articles) {
    if (batch.length === 200 || (batch.length > 0 && length + article.body.length > 4_000_000)) {
      yield batch;
      [batch, length] = [[], 0];
    }
    batch.push(article);
    length += article.body.length;
  }
  if (batch.length > 0) yield batch;
}

async function upsert(db: pg.PoolClient, corpusId: string, articles: Article[]): Promise<WrittenArticle[]> {
  const rows = articles.map(({ slug, title, body, url, tags, questions }) => ({
    id: newId(),
    slug,
    title,
    body,
    url: url ?? null,
    tags: tags ?? [],
    questions: questions ?? [],
  }));
  const written = await db.query<WrittenArticle>({
    // An inserted row has no xmax. One that ON CONFLICT updated has one.
    text: `
      INSERT INTO article (id, corpus_id, slug, title, body, url, tags, questions, updated_at)
      SELECT id, $1, slug, title, body, url, tags, questions, now()
      FROM jsonb_to_recordset($2::jsonb)
        AS a(id uuid, slug text, title text, body text, url text, tags text[], questions text[])
      ON CONFLICT (corpus_id, slug) DO UPDATE
        SET title = excluded.title, body = excluded.body, url = excluded.url, tags = excluded.tags,
          questions = excluded.questions, updated_at = now()
        WHERE (article.title, article.body, article.url, article.tags, article.questions)
          IS DISTINCT FROM (excluded.title, excluded.body, excluded.url, excluded.tags, excluded.questions)
      RETURNING id, slug, xmax = 0 AS created`,
    values: [corpusId, JSON.stringify(rows)],
  });
  return written.rows;
}

async function rebuildPassages(
  db: pg.PoolClient,
  corpusId: string,
  changed: { id: string; article: Article }[],
): Promise<void> {
  const ids = changed.map(({ id }) => id);
  const passages = changed.flatMap(({ id, article: { title, body, questions = [] } }) =>
    [
      ...splitPassages(body).map((passage) => ({ title, ...passage, question: false })),
      ...questions.map((text) => ({ title: '', heading: '', text, question: true })),
    ].map((passage, index) => ({ article_id: id, index, ...passage })),
  );
  const before = await deletePassages(db, ids);
  await db.query({
    text: `
      INSERT INTO passage (article_id, index, corpus_id, title, heading, text, question)
      SELECT article_id, index, $1, title, heading, text, question
      FROM jsonb_to_recordset($2::jsonb)
        AS p(article_id uuid, index int, title text, heading text, text text, question boolean)`,
    values: [corpusId, JSON.stringify(passages)],
  });
  const after = new Set(await addWords(db, corpusId, ids));
  const gone = before.filter((word) => !after.has(word));
  await removeUnusedWords(db, corpusId, gone);
}
