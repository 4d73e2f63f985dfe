// Fills a corpus from the shell, beside a server that may be running:
//   npm run knowledge -- import --corpus NAME_OR_ID FOLDER [--remove-others] [--organization NAME]
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { createCorpus } from '../src/knowledge/corpora.ts';
import { importArticles, readArticles } from '../src/knowledge/import.ts';
import { type Article, readArticle } from '../src/knowledge/read-article.ts';
import { ValueReader } from '../src/value-reader.ts';
import { runWithDatabase, UsageError } from './with-database.ts';

const usage = `Usage:
  npm run knowledge -- import --corpus NAME_OR_ID FOLDER [--remove-others] [--organization NAME]

Reads every .md file of FOLDER and below; its path without .md is the article's slug. Front matter may give title, url,
tags, and questions: what people ask that it answers, in their words, each on a line as "- ...". A corpus of a new name is
made, in the organization of that name or the only one. Articles that are in the corpus and not in the folder stay, unless
--remove-others is given.`;

interface Options {
  corpus?: string | undefined;
  organization?: string | undefined;
  'remove-others'?: boolean | undefined;
}

await runWithDatabase(() => {
  const { positionals, values } = readArguments();
  const [command, folder, ...rest] = positionals;
  const { corpus } = values;
  if (command !== 'import' || folder === undefined || rest.length > 0 || !corpus) throw new UsageError(usage);
  return (pool) => importFolder(pool, folder, corpus, values);
});

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        corpus: { type: 'string' },
        organization: { type: 'string' },
        'remove-others': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

async function importFolder(pool: pg.Pool, folder: string, name: string, options: Options): Promise<string> {
  const articles = await readFolder(folder);
  const corpus = await findCorpus(pool, name, options.organization);
  console.log(`Writing ${articles.length} articles to ${corpus.name} (${encodeId('Corpus', corpus.id)}).`);
  const removeOthers = options['remove-others'] === true;
  const { created, updated, unchanged, removed } = await importArticles(pool, corpus.id, articles, { removeOthers });
  return `${created} created, ${updated} updated, ${unchanged} unchanged, ${removed} removed.`;
}

/** The articles of the folder, all of which can be written. */
async function readFolder(folder: string): Promise<Article[]> {
  const articles = await readArticles(folder).catch((error: unknown) => {
    throw new UsageError(`${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (articles.length === 0) throw new UsageError(`There are no .md files in ${folder}.`);
  const read = articles.map((article) => {
    const reader = new ValueReader();
    const faults = () => reader.issues.map(({ path, detail }) => `  ${article.slug}.md: ${path.join('.')}: ${detail}`);
    return { article: readArticle(reader, article), faults: faults() };
  });
  const faults = read.flatMap((each) => each.faults);
  if (faults.length > 0) throw new UsageError(['Nothing was written, because of', ...faults].join('\n'));
  return read.map(({ article }) => article);
}

/** The corpus of that id or name. One of a new name is made. */
async function findCorpus(
  pool: pg.Pool,
  name: string,
  organization: string | undefined,
): Promise<{ id: string; name: string }> {
  const { rows } = await pool.query<{ id: string; name: string }>(
    `SELECT c.id, c.name FROM corpus c JOIN organization o ON o.id = organization_id
    WHERE (c.id = $1 OR c.name = $2) AND ($3::text IS NULL OR o.name = $3) ORDER BY c.id`,
    [decodeId('Corpus', name), name, organization ?? null],
  );
  const [found, another] = rows;
  if (another) {
    const ids = rows.map(({ id }) => encodeId('Corpus', id)).join(', ');
    throw new UsageError(`Several corpora are named ${name}. Name one by its id: ${ids}.`);
  }
  if (found) return found;
  if (decodeId('Corpus', name) !== null) throw new UsageError(`There is no corpus ${name}.`);
  const organizationId = await findOrganization(pool, organization);
  const { corpusId } = await createCorpus({ pool, newId }, { organizationId }, { name });
  return { id: corpusId, name };
}

/** The organization of that name; without one, the only one. */
async function findOrganization(pool: pg.Pool, name: string | undefined): Promise<string> {
  const { rows } = await pool.query<{ id: string; name: string }>(
    'SELECT id, name FROM organization WHERE $1::text IS NULL OR name = $1 ORDER BY created_at, id',
    [name ?? null],
  );
  const [found, another] = rows;
  if (!found) throw new UsageError('There is no such organization. The first start of the server makes one.');
  if (another) {
    throw new UsageError(`Name one of these with --organization: ${rows.map((row) => row.name).join(', ')}.`);
  }
  return found.id;
}
