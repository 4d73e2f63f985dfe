import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { newId } from '../src/ids.ts';
import { importArticles, parseArticle, readArticles } from '../src/knowledge/import.ts';
import { useDatabase } from './harness/database.ts';

const { pool } = useDatabase();
let corpusId: string;

beforeEach(async () => {
  const organizationId = newId();
  corpusId = newId();
  await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Acme']);
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
    corpusId,
    organizationId,
    'Help',
  ]);
});

const cats = { slug: 'cats', title: 'Cats', body: 'They purr.\n\n## Food\n\nFish.' };
const dogs = {
  slug: 'dogs',
  title: 'Dogs',
  body: 'They bark.',
  url: 'https://example.org/dogs',
  tags: ['pets', 'loud'],
  questions: ['Why is mine so noisy?'],
};

async function passages(): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `SELECT concat_ws('|', title, index, heading, text) AS line FROM passage
      WHERE corpus_id = $1 AND NOT question ORDER BY title, index`,
    [corpusId],
  );
  return rows.map((row) => row.line);
}

describe('an import', () => {
  it('creates articles with their passages', async () => {
    const summary = await importArticles(pool, corpusId, [cats, dogs]);
    expect(summary).toEqual({ created: 2, updated: 0, unchanged: 0, removed: 0 });
    expect(await passages()).toEqual(['Cats|0||They purr.', 'Cats|1|Food|Fish.', 'Dogs|0||They bark.']);
    const { rows } = await pool.query('SELECT slug, title, body, url, tags, questions FROM article WHERE slug = $1', [
      'dogs',
    ]);
    expect(rows).toEqual([dogs]);
  });

  it('touches only what changed, and keeps the ids of articles', async () => {
    await importArticles(pool, corpusId, [cats, dogs]);
    const rows = () =>
      pool.query<{ id: string }>(
        `SELECT slug, a.id, updated_at, p.ctid, p.xmin FROM article a JOIN passage p ON article_id = a.id
         WHERE a.corpus_id = $1 ORDER BY slug, index`,
        [corpusId],
      );
    const before = await rows();
    const summary = await importArticles(pool, corpusId, [{ ...cats, title: 'The cat', body: 'It purrs.' }, dogs]);
    expect(summary).toEqual({ created: 0, updated: 1, unchanged: 1, removed: 0 });
    expect(await passages()).toEqual(['Dogs|0||They bark.', 'The cat|0||It purrs.']);
    const after = await rows();
    expect(after.rows.at(-1)).toEqual(before.rows.at(-1));
    expect(after.rows[0]?.id).toBe(before.rows[0]?.id);
  });

  it('keeps articles that it does not mention, unless asked to remove them', async () => {
    await importArticles(pool, corpusId, [cats, dogs]);
    expect(await importArticles(pool, corpusId, [dogs])).toMatchObject({ unchanged: 1, removed: 0 });
    expect(await importArticles(pool, corpusId, [dogs], { removeOthers: true })).toMatchObject({ removed: 1 });
    expect(await passages()).toEqual(['Dogs|0||They bark.']);
    expect(await importArticles(pool, corpusId, [], { removeOthers: true })).toMatchObject({ removed: 1 });
    expect(await passages()).toEqual([]);
  });

  it('writes all or nothing', async () => {
    const broken = { ...dogs, body: 'A NUL: \0' };
    await expect(importArticles(pool, corpusId, [cats, broken])).rejects.toThrow();
    await expect(importArticles(pool, corpusId, [cats, dogs, cats])).rejects.toThrow(
      'Two articles have the slug "cats".',
    );
    await expect(importArticles(pool, newId(), [cats])).rejects.toThrow('There is no corpus');
    expect(await passages()).toEqual([]);
  });

  it('may run several times at once', async () => {
    const many = Array.from({ length: 450 }, (_, i) => ({ slug: `s${i}`, title: `T${i}`, body: `Text ${i}` }));
    const summaries = await Promise.all([1, 2, 3].map(() => importArticles(pool, corpusId, many)));
    expect(summaries.map((summary) => summary.created).sort()).toEqual([0, 0, 450]);
    expect(await passages()).toHaveLength(450);
  });
});

describe('a Markdown file', () => {
  it('gives title, url and tags in its front matter', () => {
    const source =
      '\uFEFF---\r\ntitle: "Yes: it works"\r\ntags: [a, "b c"]\r\nurl: https://example.org/?a=b:c\r\n---\r\n\r\nBody\r\n';
    expect(parseArticle('x', source)).toEqual({
      slug: 'x',
      title: 'Yes: it works',
      body: 'Body',
      url: 'https://example.org/?a=b:c',
      tags: ['a', 'b c'],
      questions: [],
    });
  });

  it('and the questions that it answers', () => {
    const source = '---\nquestions:\n  - How much, and when?\n  - "Is it: free?"\n  - \ntags: [a]\n---\n- body';
    expect(parseArticle('x', source)).toMatchObject({
      questions: ['How much, and when?', 'Is it: free?'],
      tags: ['a'],
      body: '- body',
    });
  });

  it('may give a tag on each line', () => {
    const source = '---\ntitle: T\ntags:\n  - a\n  - "b c"\n- d\nurl: https://example.org/\n---\nBody';
    expect(parseArticle('x', source)).toMatchObject({
      title: 'T',
      tags: ['a', 'b c', 'd'],
      url: 'https://example.org/',
    });
    expect(parseArticle('x', '---\ntags:\ntitle: T\n---\n- a')).toMatchObject({ title: 'T', tags: [], body: '- a' });
  });

  it('or has a heading for its title, or else its name', () => {
    expect(parseArticle('x', '# Heading\n\nBody')).toMatchObject({
      title: 'Heading',
      body: 'Body',
      url: null,
      tags: [],
    });
    expect(parseArticle('x', 'Body\n\n---\n\nmore')).toMatchObject({ title: 'x', body: 'Body\n\n---\n\nmore' });
    expect(parseArticle('x', '---\n---\n# H')).toMatchObject({ title: 'H', body: '' });
    expect(parseArticle('x', '---\ntitle: T\n---\n# H\n\nBody')).toMatchObject({ title: 'T', body: '# H\n\nBody' });
  });

  it('is found in the folder and below, and named by its path', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'articles-'));
    await mkdir(join(folder, 'b'));
    await writeFile(join(folder, 'b', 'two.md'), 'Two');
    await writeFile(join(folder, 'one.md'), '# One');
    await writeFile(join(folder, 'image.png'), '');
    expect((await readArticles(folder)).map(({ slug, title }) => [slug, title])).toEqual([
      ['b/two', 'b/two'],
      ['one', 'One'],
    ]);
    await rm(folder, { recursive: true });
  });
});
