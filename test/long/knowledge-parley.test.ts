import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { Asked, isRight, type Outcome, questionList } from '../../scripts/evaluate/asked.ts';
import { useDatabase } from '../harness/database.ts';
import asked from '../fixtures/parley-questions.json' with { type: 'json' };

const root = join(import.meta.dirname, '..', '..');
const { pool } = useDatabase();
let agent: Asked;
beforeAll(async () => {
  agent = await Asked.open(pool, join(root, 'corpus'));
});

// Written by somebody who had read nothing but the README, before the articles and the ranking were.
test('of 60 questions about Parley 45 are answered from the right article, 9 of 10 foreign ones declined, 7 of 8 wishes for a human handed over', async () => {
  const outcomes: Outcome[] = [];
  for (const question of questionList.parse(asked)) outcomes.push(await agent.ask(question));
  const of = (kind: Outcome['asked']['kind']) => outcomes.filter((outcome) => outcome.asked.kind === kind);
  const right = (kind: Outcome['asked']['kind']) => of(kind).filter((outcome) => isRight(outcome) === true).length;
  const show = (kind: Outcome['asked']['kind']) =>
    of(kind)
      .filter((outcome) => isRight(outcome) !== true)
      .map((outcome) => `${outcome.asked.question} — ${outcome.article ?? outcome.came}`)
      .join('\n');
  expect([of('answer').length, of('foreign').length, of('human').length]).toEqual([60, 10, 8]);
  expect(right('answer'), show('answer')).toBeGreaterThanOrEqual(45);
  expect(right('foreign'), show('foreign')).toBeGreaterThanOrEqual(9);
  expect(right('human'), show('human')).toBeGreaterThanOrEqual(7);
});
