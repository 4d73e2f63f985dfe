import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Asked } from '../scripts/evaluate/asked.ts';
import { useDatabase } from './harness/database.ts';

const root = join(import.meta.dirname, '..');
const { pool } = useDatabase();
let agent: Asked;
beforeAll(async () => {
  agent = await Asked.open(pool, join(root, 'corpus'));
});

describe('what the tour, the README and GraphiQL ask', () => {
  /** The article that each is answered from. */
  const expected: Record<string, string> = {
    'What is Parley for?': 'what-is-parley',
    'What happens when two people write at once?': 'two-people-write-at-once',
    'And what is a handoff?': 'handoff-to-a-human',
    'Does closing the window stop the answer?': 'closing-the-window',
    'How do I scale out?': 'several-servers',
    'What is a handoff?': 'handoff-to-a-human',
    'What is Parley?': 'what-is-parley',
    'Thanks!': '',
  };

  it('is all that they ask', () => {
    const files = ['scripts/demo/tour.ts', 'README.md', 'src/graphql/graphiql.ts'];
    const texts = files.map((file) => readFileSync(join(root, file), 'utf8').replaceAll('\\"', '"')).join('\n');
    const found = [...texts.matchAll(/\btext(?:: "| = '|: ')([^"'\n$]{3,}?)["']/g)].map(([, text = '']) => text);
    const sentences = found.filter((text) => /[?!]$/.test(text));
    expect(sentences.length).toBeGreaterThanOrEqual(7);
    expect(new Set(sentences)).toEqual(new Set(Object.keys(expected)));
  });

  it.each(Object.entries(expected).filter(([, article]) => article !== ''))('%s', async (question, article) => {
    const outcome = await agent.ask({ kind: 'answer', question });
    expect(outcome.article).toBe(article);
    expect(outcome.text.length).toBeGreaterThan(120);
  });
});
