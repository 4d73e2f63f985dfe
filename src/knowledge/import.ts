import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type pg from 'pg';
import { inTransaction } from '../db.ts';
import { newId } from '../ids.ts';
import { splitPassages } from './passages.ts';

/** An article as it is written, before it is split into passages. */
export interface ArticleInput {
  /** Its name within the corpus, stable across imports. */
  slug: string;
  title: string;
  /** Markdown, without the title. */
  body: string;
  url?: string | null;
  tags?: string[];
}

/** How many articles an import touched. */
export interface ImportSummary {
  created: number;
  updated: number;
  unchanged: number;
  removed: number;
}

/** Bounds the size of one statement. */
const batchSize = 200;

/**
 * Creates or updates the articles by their slugs, in one transaction, and rebuilds the passages of those that changed. With
 * `removeOthers` the corpus then holds exactly these. Imports into one corpus wait for each other. Throws, with nothing
 * written, when the corpus does not exist or two articles share a slug.
 */
export async function importArticles(
  pool: pg.Pool,
  corpusId: string,
  articles: readonly ArticleInput[],
  { removeOthers = false }: { removeOthers?: boolean } = {},
): Promise<ImportSummary> {
  const bySlug = new Map(articles.map((article) => [article.slug, article]));
  if (bySlug.size < articles.length) {
    const twice = articles.find(({ slug }, index) => articles.findIndex((first) => first.slug === slug) < index);
    throw new Error(`Two articles have the slug "${twice?.slug}".`);
  }
  return inTransaction(pool, async (client) => {
    const corpus = await client.query('SELECT FROM corpus WHERE id = $1 FOR NO KEY UPDATE', [corpusId]);
    if (corpus.rowCount === 0) throw new Error(`There is no corpus ${corpusId}.`);
    const summary: ImportSummary = { created: 0, updated: 0, unchanged: articles.length, removed: 0 };
    for (let start = 0; start < articles.length; start += batchSize) {
      const written = await upsert(client, corpusId, articles.slice(start, start + batchSize));
      const changed = written.flatMap((row) => {
        const article = bySlug.get(row.slug);
        return article ? [{ id: row.id, article }] : [];
      });
      if (changed.length > 0) await rebuildPassages(client, corpusId, changed);
      const created = written.filter((row) => row.created).length;
      summary.created += created;
      summary.updated += written.length - created;
      summary.unchanged -= written.length;
    }
    if (removeOthers) {
      const { rowCount } = await client.query({
        text: 'DELETE FROM article WHERE corpus_id = $1 AND slug <> ALL ($2::text[])',
        values: [corpusId, [...bySlug.keys()]],
      });
      summary.removed = rowCount ?? 0;
    }
    return summary;
  });
}

interface WrittenArticle {
  id: string;
  slug: string;
  created: boolean;
}

/** Returns only the rows that were inserted or differed. */
async function upsert(client: pg.PoolClient, corpusId: string, articles: ArticleInput[]): Promise<WrittenArticle[]> {
  const rows = articles.map(({ slug, title, body, url, tags }) => ({
    id: newId(),
    slug,
    title,
    body,
    url: url ?? null,
    tags: tags ?? [],
  }));
  const written = await client.query<WrittenArticle>({
    // An inserted row has no xmax; one that ON CONFLICT locked and updated has.
    text: `
      INSERT INTO article (id, corpus_id, slug, title, body, url, tags, updated_at)
      SELECT id, $1, slug, title, body, url, tags, now()
      FROM jsonb_to_recordset($2::jsonb) AS a(id uuid, slug text, title text, body text, url text, tags text[])
      ON CONFLICT (corpus_id, slug) DO UPDATE
        SET title = excluded.title, body = excluded.body, url = excluded.url, tags = excluded.tags, updated_at = now()
        WHERE (article.title, article.body, article.url, article.tags)
          IS DISTINCT FROM (excluded.title, excluded.body, excluded.url, excluded.tags)
      RETURNING id, slug, xmax = 0 AS created`,
    values: [corpusId, JSON.stringify(rows)],
  });
  return written.rows;
}

async function rebuildPassages(
  client: pg.PoolClient,
  corpusId: string,
  changed: { id: string; article: ArticleInput }[],
): Promise<void> {
  const passages = changed.flatMap(({ id, article }) =>
    splitPassages(article.body).map((passage, index) => ({ article_id: id, index, title: article.title, ...passage })),
  );
  await client.query('DELETE FROM passage WHERE article_id = ANY ($1::uuid[])', [changed.map(({ id }) => id)]);
  await client.query({
    text: `
      INSERT INTO passage (article_id, index, corpus_id, title, heading, text)
      SELECT article_id, index, $1, title, heading, text
      FROM jsonb_to_recordset($2::jsonb) AS p(article_id uuid, index int, title text, heading text, text text)`,
    values: [corpusId, JSON.stringify(passages)],
  });
}

/** Reads every `.md` file in the folder and below, in the order of their paths; the path without `.md` is the slug. */
export async function readArticles(folder: string): Promise<ArticleInput[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  return Promise.all(
    names.map(async (name) => {
      const slug = name.slice(0, -'.md'.length).split(sep).join('/');
      return parseArticle(slug, await readFile(join(folder, name), 'utf8'));
    }),
  );
}

/** Reads `title`, `url` and `tags: [a, b]` from the front matter. Without a title, a leading `# heading` is it, or else the slug. */
export function parseArticle(slug: string, source: string): ArticleInput {
  const text = source.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const [frontMatter = '', fields = ''] = /^---\n([\s\S]*?\n)?---[ \t]*(?:\n|$)/.exec(text) ?? [];
  const body = text.slice(frontMatter.length).trim();
  const [headingLine = '', heading] = /^#[ \t]+(.+)(?:\n|$)/.exec(body) ?? [];
  const title = field(fields, 'title');
  return {
    slug,
    title: title ?? heading?.trim() ?? slug,
    body: title === null || title === heading?.trim() ? body.slice(headingLine.length).trim() : body,
    url: field(fields, 'url'),
    tags: (field(fields, 'tags') ?? '')
      .replace(/^\[(.*)\]$/, '$1')
      .split(',')
      .map(unquote)
      .filter((tag) => tag !== ''),
  };
}

function field(fields: string, name: string): string | null {
  const line = fields.split('\n').find((candidate) => candidate.startsWith(`${name}:`));
  return (line && unquote(line.slice(name.length + 1))) || null;
}

function unquote(value: string): string {
  return value.trim().replace(/^(["'])(.*)\1$/, '$2');
}
