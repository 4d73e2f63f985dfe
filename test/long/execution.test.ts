import { expect, test } from 'vitest';
import { compareRandomExecutions, seedsFrom } from '../harness/random-executions.ts';

test('very many random operations are answered as graphql-js does', async () => {
  const { differences } = await compareRandomExecutions(seedsFrom(1_000_000, 20_000));
  expect(differences.slice(0, 1)).toEqual([]);
});
