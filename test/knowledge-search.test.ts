import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../src/ids.ts';
import { importArticles, readArticles } from '../src/knowledge/import.ts';
import { search } from '../src/knowledge/search.ts';
import { useDatabase } from './harness/database.ts';

const { pool } = useDatabase();
const organizationId = newId();
const corpusId = newId();
const otherCorpusId = newId();
let slugs: Map<string, string>;

beforeAll(async () => {
  await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Acme']);
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $3, $4), ($2, $3, $4)', [
    corpusId,
    otherCorpusId,
    organizationId,
    'Help',
  ]);
  await importArticles(pool, corpusId, await readArticles(fileURLToPath(new URL('../corpus', import.meta.url))));
  await importArticles(pool, otherCorpusId, [{ slug: 'zebra', title: 'Zebras', body: 'A zebra has stripes.' }]);
  const { rows } = await pool.query<{ id: string; slug: string }>('SELECT id, slug FROM article');
  slugs = new Map(rows.map((row) => [row.id, row.slug]));
});

async function found(query: string, limit = 5): Promise<(string | undefined)[]> {
  const { passages } = await search(pool, { corpusId, query, limit });
  return passages.map((passage) => slugs.get(passage.articleId));
}

describe('a question about Parley finds its article', () => {
  it.each([
    ['What is Parley?', 'what-is-parley'],
    ['What is this?', 'what-is-parley'],
    ['How do I send my first message?', 'send-a-message'],
    ['how can I stop an answer half-way?', 'stop-a-reply'],
    ['How do I get the answer word by word while it is being written?', 'stream-a-reply'],
    ['My wifi dropped in the middle of a reply. How do I continue without missing anything?', 'resume-from-a-cursor'],
    ['What does ConversationBusyError mean?', 'two-people-write-at-once'],
    ['Two people edited at the same time, what happens?', 'two-people-write-at-once'],
    ['Can a real person take over from the bot?', 'handoff-to-a-human'],
    ['how do I close a conversation', 'end-a-conversation'],
    ['How can I delete a chat?', 'privacy-and-deletion'],
    ['Can I send the agent a message that the user does not see?', 'control-messages-and-state'],
    ['What are fragments?', 'fragments'],
    ['Which environment variables can I set?', 'settings'],
    ['Where do I find my API key?', 'api-keys'],
    ['How do I avoid sending the same message twice when I retry?', 'exactly-once-sends'],
    ['Which runtimes are there?', 'agents-and-runtimes'],
    ['What happens to a reply when the server crashes?', 'when-a-server-crashes'],
    ['I want a different answer, can I regenerate it?', 'try-again'],
    ['How long is a cursor valid?', 'resume-from-a-cursor'],
    ['does it work with redis', 'several-servers'],
    ['how to reconnect after a network failure', 'resume-from-a-cursor'],
    ['cancel generation', 'stop-a-reply'],
    ['what port does the server listen on', 'settings'],
    ['can a message be edited', 'privacy-and-deletion'],
    ['is the partial text kept when I stop', 'stop-a-reply'],
    ['Is there a mobile app for iPhone?', 'build-a-frontend'],
    ['which model or LLM does it use?', 'use-your-own-model'],
  ])('%s', async (query, slug) => {
    expect((await found(query))[0]).toBe(slug);
  });
});

describe('a question that the corpus does not answer finds nothing', () => {
  it.each([
    'What is the capital of France?',
    'How much does Parley cost per month?',
    'Can you recommend a good pizza recipe?',
    'Who won the football match yesterday?',
    'Does Parley support WhatsApp?',
    "What's the weather like today?",
    'Which brand of coffee should I buy?',
    'how do I return my shoes',
    'tell me about zebra stripes',
    'Hello!',
    'what is it?',
    '?!',
    '',
    '😀 什么',
  ])('%s', async (query) => {
    expect(await found(query)).toEqual([]);
  });
});

describe('the search', () => {
  it('gives a passage with its place, best first, and no more than asked for', async () => {
    const { passages } = await search(pool, { corpusId, query: 'What are fragments?', limit: 3 });
    expect(passages).toHaveLength(3);
    const { articleId = '', text, score, ...rest } = passages[0] ?? {};
    expect(slugs.get(articleId)).toBe('fragments');
    expect(text).toMatch(/^A message consists of ordered, typed parts/);
    expect(typeof score).toBe('number');
    expect(rest).toEqual({ title: 'Kinds of content: what a message is made of', heading: '', url: null });
    const scores = passages.map((passage) => passage.score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(scores.every((score) => score > 0 && score <= 1)).toBe(true);
    expect(await found('What are fragments?', 0)).toEqual([]);
  });

  it('takes no more than 50 passages, in the same order each time', async () => {
    const id = newId();
    await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
      id,
      organizationId,
      'Stripes',
    ]);
    const animals = Array.from({ length: 60 }, (_, i) => ({
      slug: `a${i}`,
      title: `Animal ${i}`,
      body: 'It has stripes.',
    }));
    await importArticles(pool, id, animals);
    const all = await search(pool, { corpusId: id, query: 'stripes', limit: 1000 });
    expect(all.passages).toHaveLength(50);
    expect(await search(pool, { corpusId: id, query: 'stripes', limit: 1000 })).toEqual(all);
  });

  it('takes one question that an article answers for like what is asked, and not words out of many', async () => {
    const id = newId();
    await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
      id,
      organizationId,
      'Bikes',
    ]);
    const questions = [
      'Can I paint the frame blue?',
      'Where do I sell my old helmet?',
      'Is there a repair shop in Paris?',
      'How heavy is the basket?',
      'Does the saddle fit children?',
    ];
    await importArticles(pool, id, [{ slug: 'bike', title: 'Yours', body: 'Ride.', questions }]);
    const ask = async (query: string) => (await search(pool, { corpusId: id, query })).passages;
    expect(await ask('is a shop for repairs anywhere in paris')).toMatchObject([{ text: 'Ride.' }]);
    expect(await ask('Will children sell a heavy blue shop?')).toEqual([]);
  });

  it('keeps to its corpus', async () => {
    const query = 'zebra stripes';
    expect((await search(pool, { corpusId: otherCorpusId, query })).passages).toHaveLength(1);
    expect(await search(pool, { corpusId, query })).toEqual({ passages: [], near: [] });
  });

  it('takes any text for a question', async () => {
    const odd = [
      `'); DROP TABLE passage; --`,
      `redis & | ! <-> :* ( ) ' \\ "`,
      'redis \0 \ud800',
      `what's the path C:\\new\\'x' or a/b|c&d?`,
      'redis '.repeat(300_000),
      Array.from({ length: 300_000 }, (_, i) => i.toString(36)).join(' '),
    ];
    for (const query of odd) await expect(search(pool, { corpusId, query })).resolves.toHaveProperty('passages');
    expect((await found(`redis & | ! <-> :* ( ) ' \\ "`))[0]).toBe('several-servers');
  });

  it('looks the words up in the index of the terms, in this corpus alone', async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('SET LOCAL enable_seqscan = off; SET LOCAL jit = off');
      let plan = '';
      const explaining = {
        async query<R extends pg.QueryResultRow>({ name = '', text, values = [] }: pg.QueryConfig) {
          if (name === 'find-candidates') {
            plan = JSON.stringify((await client.query({ text: `EXPLAIN (ANALYZE) ${text}`, values })).rows);
          }
          return client.query<R>({ text, values });
        },
      };
      await search(explaining, { corpusId, query: 'stripes' });
      await search(explaining, { corpusId, query: 'redis' });
      expect(plan).toContain('Bitmap Index Scan on passage_terms_idx');
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  it('counts in how many passages a term stands, whoever writes and deletes them', async () => {
    const id = newId();
    await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
      id,
      organizationId,
      'Counted',
    ]);
    const kept = { slug: 'kept', title: 'Lions', body: 'A lion roars.' };
    await importArticles(pool, id, [
      kept,
      { slug: 'gone', title: 'Zoo', body: '# Lions\n\nRoar.\n\n# Bears\n\nGrowl.' },
    ]);
    const counts = async () => {
      const { rows } = await pool.query<{ term: string; passages: number }>(
        `SELECT term, passages FROM corpus_term WHERE corpus_id = $1 AND term IN ('', 'lion', 'roar', 'zoo')`,
        [id],
      );
      return Object.fromEntries(rows.map(({ term, passages }) => [term, passages]));
    };
    expect(await counts()).toEqual({ '': 3, lion: 2, roar: 2, zoo: 2 });
    await importArticles(pool, id, [kept], { removeOthers: true });
    expect(await counts()).toEqual({ '': 1, lion: 1, roar: 1, zoo: 0 });
    await pool.query('DELETE FROM corpus WHERE id = $1', [id]);
    expect(await counts()).toEqual({});
  });

  it('names the nearest articles when it does not know', async () => {
    const { passages, near } = await search(pool, { corpusId, query: 'Can I send a message to Mars by rocket?' });
    expect(passages).toEqual([]);
    expect(near.length).toBeLessThanOrEqual(2);
    expect(new Set(near.map(({ articleId }) => articleId)).size).toBe(near.length);
  });
});
