import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../src/ids.ts';
import { askedWords } from '../src/knowledge/asked-words.ts';
import { findCandidates } from '../src/knowledge/candidates.ts';
import { importArticles } from '../src/knowledge/import.ts';
import { weights } from '../src/knowledge/weights.ts';
import { useDatabase } from './harness/database.ts';

const { pool } = useDatabase();
const corpusId = newId();
/** More than one search takes out of the index, so that no common word is looked up by itself. */
const ARTICLES = 3300;

beforeAll(async () => {
  const organizationId = newId();
  await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Acme']);
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
    corpusId,
    organizationId,
    'Large',
  ]);
  const common = ['ferry', 'winter', 'dog'];
  const articles = Array.from({ length: ARTICLES }, (_, i) => {
    // Each has one of the three common words, and one article all of them.
    const own = i === 2500 ? common.join(' ') : (common[i % 3] ?? '');
    return { slug: `a${i}`, title: `Harbor ${i}`, body: `Boats ${own}${i % 100 === 0 ? ' lighthouse' : ''}.` };
  });
  await importArticles(pool, corpusId, articles);
}, 60_000);

/** The articles that are looked at, the most promising first. */
async function candidates(question: string) {
  const words = await askedWords(pool, corpusId, question, weights);
  const rows = await findCandidates(pool, corpusId, words, { tags: [], synonym: weights.synonym });
  const { rows: named } = await pool.query<{ id: string; slug: string }>(
    'SELECT id, slug FROM article WHERE corpus_id = $1',
    [corpusId],
  );
  const slugs = new Map(named.map(({ id, slug }) => [id, slug]));
  return rows.map(({ articleId, has }) => ({ slug: slugs.get(articleId), has }));
}

describe('in a corpus where the asked words are common', () => {
  it('finds the one passage that has them all', async () => {
    const [first] = await candidates('ferry dog winter');
    expect(first).toEqual({ slug: 'a2500', has: [1, 1, 1] });
  });

  it('still finds passages when all of them have the word', async () => {
    expect(await candidates('harbor')).not.toEqual([]);
    expect(await candidates('boats in a harbor')).not.toEqual([]);
  });

  it('lets a word that all of them have find none beside one that tells them apart', async () => {
    const rows = await candidates('harbor lighthouse');
    expect(rows).toHaveLength(ARTICLES / 100);
    expect(rows.every(({ has }) => has.every((part) => part === 1))).toBe(true);
  });
});
