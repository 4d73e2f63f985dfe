import type pg from 'pg';
import { inTransaction, type Pool } from '../db.ts';
import { NotFoundError } from '../errors.ts';
import { decodeId, type NewId } from '../ids.ts';
import { ValueReader } from '../value-reader.ts';
import { removeArticles, writeArticles } from './articles.ts';
import { type ArticleInput, readArticle } from './read-article.ts';

/** The services that the commands on corpora use. */
export interface KnowledgeServices {
  pool: Pool;
  newId: NewId;
}

/** The owner of the corpora. */
export interface CorpusOwner {
  organizationId: string;
}

/** Creates a corpus without articles. */
export async function createCorpus(
  { pool, newId }: KnowledgeServices,
  { organizationId }: CorpusOwner,
  input: { name: string },
): Promise<{ corpusId: string }> {
  const reader = new ValueReader();
  const name = reader.text(['name'], input.name) ?? '';
  if (name.trim() === '') reader.refuse(['name'], 'Must not be empty.', 'REQUIRED');
  reader.finish();
  const corpusId = newId();
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
    corpusId,
    organizationId,
    name,
  ]);
  return { corpusId };
}

/** Deletes the corpus with its articles. Agents that used it then have none, and conversations that used it use their agent's. */
export async function deleteCorpus(
  { pool }: KnowledgeServices,
  { organizationId }: CorpusOwner,
  input: { corpusId: string },
): Promise<{ corpusId: string }> {
  const corpusId = decodeId('Corpus', input.corpusId);
  const deleted = await pool.query('DELETE FROM corpus WHERE id = $1 AND organization_id = $2', [
    corpusId,
    organizationId,
  ]);
  if (corpusId === null || deleted.rowCount === 0) throw new NotFoundError(['corpusId']);
  return { corpusId };
}

/** Creates an article, or replaces the one with the same slug. */
export async function upsertArticle(
  { pool }: KnowledgeServices,
  owner: CorpusOwner,
  input: ArticleInput & { corpusId: string },
): Promise<{ articleId: string; created: boolean }> {
  const reader = new ValueReader();
  const article = readArticle(reader, input);
  const corpusId = decodeId('Corpus', input.corpusId);
  return inTransaction(pool, async (db) => {
    if (corpusId === null || !(await lockCorpus(db, owner, corpusId))) throw new NotFoundError(['corpusId']);
    reader.finish();
    const [written] = await writeArticles(db, corpusId, [article]);
    if (written) return { articleId: written.id, created: written.created };
    const { rows } = await db.query<{ articleId: string }>({
      text: 'SELECT id AS "articleId" FROM article WHERE corpus_id = $1 AND slug = $2',
      values: [corpusId, article.slug],
    });
    if (!rows[0]) throw new Error('an article that was there is gone while its corpus is locked');
    return { ...rows[0], created: false };
  });
}

/** Deletes the article. */
export async function deleteArticle(
  { pool }: KnowledgeServices,
  owner: CorpusOwner,
  input: { articleId: string },
): Promise<{ articleId: string }> {
  const articleId = decodeId('Article', input.articleId);
  if (articleId === null) throw new NotFoundError(['articleId']);
  await inTransaction(pool, async (db) => {
    const corpusId = await lockCorpusOf(db, owner, articleId);
    if (corpusId === null) throw new NotFoundError(['articleId']);
    await removeArticles(db, corpusId, [articleId]);
  });
  return { articleId };
}

/** The article's corpus, to which nobody else writes until the transaction ends; null when there is no such article. */
export async function lockCorpusOf(db: pg.PoolClient, owner: CorpusOwner, articleId: string): Promise<string | null> {
  const corpusId = await corpusOf(db, articleId);
  if (corpusId === null || !(await lockCorpus(db, owner, corpusId))) return null;
  // Looked for again under the lock: another may have deleted it meanwhile.
  return corpusOf(db, articleId);
}

async function corpusOf(db: pg.PoolClient, articleId: string): Promise<string | null> {
  const { rows } = await db.query<{ corpusId: string }>({
    text: 'SELECT corpus_id AS "corpusId" FROM article WHERE id = $1',
    values: [articleId],
  });
  return rows[0]?.corpusId ?? null;
}

/** Locks a corpus until the transaction ends. False if it does not exist. */
async function lockCorpus(db: pg.PoolClient, { organizationId }: CorpusOwner, id: string): Promise<boolean> {
  const { rowCount } = await db.query({
    text: 'SELECT FROM corpus WHERE id = $1 AND organization_id = $2 FOR NO KEY UPDATE',
    values: [id, organizationId],
  });
  return rowCount === 1;
}
