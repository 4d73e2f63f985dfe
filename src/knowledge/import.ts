import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type pg from 'pg';
import { inTransaction, type Pool } from '../db.ts';
import { removeArticles, writeArticles } from './articles.ts';
import type { Article } from './read-article.ts';

export type { Article as ArticleInput } from './read-article.ts';

/** How many articles an import touched. */
export interface ImportSummary {
  created: number;
  updated: number;
  unchanged: number;
  removed: number;
}

/**
 * Creates or updates the articles by their slugs, in one transaction, and rebuilds the passages of those that changed. With
 * `removeOthers` the corpus then holds exactly these. Imports into one corpus wait for each other. Throws, with nothing
 * written, if the corpus does not exist or two articles share a slug.
 */
export async function importArticles(
  pool: Pool,
  corpusId: string,
  articles: readonly Article[],
  { removeOthers = false }: { removeOthers?: boolean } = {},
): Promise<ImportSummary> {
  const slugs = new Set(articles.map(({ slug }) => slug));
  if (slugs.size < articles.length) {
    const twice = articles.find(({ slug }, index) => articles.findIndex((first) => first.slug === slug) < index);
    throw new Error(`Two articles have the slug "${twice?.slug}".`);
  }
  return inTransaction(pool, async (client) => {
    const corpus = await client.query('SELECT FROM corpus WHERE id = $1 FOR NO KEY UPDATE', [corpusId]);
    if (corpus.rowCount === 0) throw new Error(`There is no corpus ${corpusId}.`);
    const written = await writeArticles(client, corpusId, articles);
    const created = written.filter((row) => row.created).length;
    return {
      created,
      updated: written.length - created,
      unchanged: articles.length - written.length,
      removed: removeOthers ? await removeAllBut(client, corpusId, slugs) : 0,
    };
  });
}

async function removeAllBut(client: pg.PoolClient, corpusId: string, slugs: ReadonlySet<string>): Promise<number> {
  const { rows } = await client.query<{ id: string }>({
    text: 'SELECT id FROM article WHERE corpus_id = $1 AND slug <> ALL ($2::text[])',
    values: [corpusId, [...slugs]],
  });
  const ids = rows.map(({ id }) => id);
  if (ids.length > 0) await removeArticles(client, corpusId, ids);
  return ids.length;
}

/** Reads all `.md` files in the folder and below, ordered by path. The path without `.md` is the slug. */
export async function readArticles(folder: string): Promise<Article[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.md')).sort();
  const articles: Article[] = [];
  for (const name of names) {
    const slug = name.slice(0, -'.md'.length).split(sep).join('/');
    articles.push(parseArticle(slug, await readFile(join(folder, name), 'utf8')));
  }
  return articles;
}

/** Reads `title`, `url`, `tags` and `questions` from the front matter. If it gives no title, the title is a leading `# heading`, or else the slug. */
export function parseArticle(slug: string, source: string): Article {
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
    tags: linesOf(fields, 'tags') ?? inlineTags(fields),
    questions: linesOf(fields, 'questions') ?? [],
  };
}

/** The values of a list written as lines of `- value`. Null if the field is not such a list. */
function linesOf(fields: string, name: string): string[] | null {
  const lines = new RegExp(`^${name}:[ \\t]*\\n((?:[ \\t]*- .*\\n)+)`, 'm').exec(fields)?.[1]?.split(/^[ \t]*- /m);
  return lines ? lines.map(unquote).filter((value) => value !== '') : null;
}

/** The tags of a list written as `[a, b]`. */
function inlineTags(fields: string): string[] {
  return (field(fields, 'tags') ?? '')
    .replace(/^\[(.*)\]$/, '$1')
    .split(',')
    .map(unquote)
    .filter((tag) => tag !== '');
}

function field(fields: string, name: string): string | null {
  const line = fields.split('\n').find((candidate) => candidate.startsWith(`${name}:`));
  return (line && unquote(line.slice(name.length + 1))) || null;
}

function unquote(value: string): string {
  return value.trim().replace(/^(["'])(.*)\1$/, '$2');
}
