import { expect, test } from 'vitest';
import { FairGate } from '../src/fair-gate.ts';

test('a fair gate lets so many in at once, and those who wait take turns', async () => {
  const gate = new FairGate(2);
  const begun: string[] = [];
  let [running, most] = [0, 0];
  const work = (name: string) => async () => {
    begun.push(name);
    most = Math.max(most, (running += 1));
    await Promise.resolve();
    running -= 1;
    if (name === 'a3') throw new Error('of this test');
  };
  const all = ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2'].map((name) => gate.run(name.slice(0, 1), work(name)));
  const results = await Promise.allSettled(all);
  expect(begun).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'b2', 'a5']);
  expect(most).toBe(2);
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
});
