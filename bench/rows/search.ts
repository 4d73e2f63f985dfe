import { join } from 'node:path';
import { openPool, poolLimits } from '../../src/db.ts';
import { newId } from '../../src/ids.ts';
import { importArticles } from '../../src/knowledge/import.ts';
import { KnowledgeBase } from '../../src/knowledge/knowledge-base.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { quantile, type Row } from '../bench.ts';

const PASSAGES_OF_ARTICLE = 5;
const WORDS_OF_PASSAGE = 60;
const VOCABULARY = 20_000;
const BATCH = 1000;
const AT_ONCE = 20;
/** How long a question to 100,000 passages may take by itself, and the last of those that are asked at once. */
const PROMISED_MS = 50;
const PROMISED_TOGETHER_MS = 500;

/** How long a question to a large corpus takes, by itself and among others. */
export const search: Row = {
  name: 'search',
  async run(bench) {
    const passages = bench.quick ? 10_000 : 100_000;
    await migrate(bench.databaseUrl, join(import.meta.dirname, '..', '..', 'prisma', 'migrations'));
    const pool = openPool(bench.databaseUrl, { ...poolLimits.patient, size: 10 }, () => undefined);
    try {
      const [organizationId, corpusId] = [newId(), newId()];
      await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Bench']);
      await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
        corpusId,
        organizationId,
        'Large',
      ]);
      const random = randomOf(7);
      const articles = passages / PASSAGES_OF_ARTICLE;
      for (let first = 0; first < articles; first += BATCH) {
        const batch = Array.from({ length: Math.min(BATCH, articles - first) }, (_, i) => articleOf(first + i, random));
        await importArticles(pool, corpusId, batch);
        bench.progress(`search: ${(first + batch.length) * PASSAGES_OF_ARTICLE} of ${passages} passages`);
      }
      await pool.query('VACUUM ANALYZE passage, article, corpus_term');
      const knowledge = new KnowledgeBase(pool);
      const ask = async () => {
        const query = `How do I ${textOf(3 + Math.floor(random() * 6), random)}?`;
        const began = performance.now();
        await knowledge.search({ corpusId, query });
        return performance.now() - began;
      };
      for (let i = 0; i < 50; i += 1) await ask();
      const alone: number[] = [];
      for (let i = 0; i < (bench.quick ? 200 : 1000); i += 1) alone.push(await ask());
      const together: number[] = [];
      for (let i = 0; i < (bench.quick ? 5 : 20); i += 1) {
        const began = performance.now();
        await Promise.all(Array.from({ length: AT_ONCE }, ask));
        together.push(performance.now() - began);
      }
      const figure = (what: string, ours: number, limit: number | null) => ({ what, unit: 'ms', ours, limit });
      return {
        title: `Search of ${passages.toLocaleString('en')} passages, questions of 3 to 8 words`,
        figures: [
          figure('one at a time, p50', quantile(alone, 0.5), null),
          figure('one at a time, p99', quantile(alone, 0.99), PROMISED_MS),
          figure(`all of ${AT_ONCE} at once, the slowest time`, Math.max(...together), PROMISED_TOGETHER_MS),
        ],
        notes: [
          'Limit: what is promised for 100,000 passages. Words as frequent as those of a language, misspelt ones none.',
        ],
      };
    } finally {
      await pool.end();
    }
  },
};

function articleOf(number: number, random: () => number) {
  const sections = Array.from(
    { length: PASSAGES_OF_ARTICLE },
    (_, i) => `## ${textOf(3, random)} ${i}\n\n${textOf(WORDS_OF_PASSAGE, random)}.`,
  );
  return { slug: `article-${number}`, title: textOf(4, random), body: sections.join('\n\n') };
}

function textOf(words: number, random: () => number): string {
  return Array.from({ length: words }, () => wordOf(rankOf(random()))).join(' ');
}

/** By Zipf's law: the word of rank n is about n times as rare as the first. */
function rankOf(share: number): number {
  return Math.floor(VOCABULARY ** share);
}

/** A word that is no word of English, so that no stem and no synonym joins it to another. */
function wordOf(rank: number): string {
  const letters = 'bdfgklmnprtvz';
  let word = '';
  for (let rest = rank + letters.length ** 2; rest > 0; rest = Math.floor(rest / letters.length)) {
    word += `${letters[rest % letters.length] ?? ''}o`;
  }
  return word;
}

/** Numbers from 0 to 1 that are the same in each run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
