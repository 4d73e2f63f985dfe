import { expect, test } from 'vitest';
import { Roster } from '../src/roster.ts';

test('a roster tells what is here, in the order in which it came, whatever has left', () => {
  const roster = new Roster<string>();
  const leave = new Map(['a', 'b', 'c', 'd'].map((name) => [name, roster.add(name)]));
  expect(leave.get('b')?.()).toBe(true);
  expect(leave.get('b')?.()).toBe(false);
  expect([...roster]).toEqual(['a', 'c', 'd']);
  for (const name of roster) leave.get(name)?.();
  expect([...roster]).toEqual([]);
  expect(roster.size).toBe(0);
  roster.add('e');
  expect([[...roster], roster.size]).toEqual([['e'], 1]);
});
