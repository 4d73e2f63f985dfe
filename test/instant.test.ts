import { expect, test } from 'vitest';
import { instantText } from '../src/graphql/instant.ts';
import { Dice } from './harness/fuzz.ts';

test('an instant is told as `toISOString` does, in every year, by day and by night', () => {
  const dice = new Dice(7);
  const [first, last] = [-62_198_755_200_000, 253_402_300_799_999];
  const instants = [0, -1, first, last, first - 1, last + 1, 8.64e15, -8.64e15].map((time) => new Date(time));
  for (let count = 0; count < 2000; count += 1) {
    const near = dice.chance(0.5) ? Number(instants.at(-1)) : first + (last - first) * (dice.below(1e9) / 1e9);
    instants.push(new Date(near + dice.below(200_000_000) - 100_000_000));
  }
  const right = instants.filter((instant) => !Number.isNaN(Number(instant)));
  expect(right.map(instantText)).toEqual(right.map((instant) => instant.toISOString()));
});

test('what is no instant is refused, whatever came before', () => {
  instantText(new Date(0));
  expect(() => instantText(new Date(NaN))).toThrow(RangeError);
  expect(instantText(new Date(1))).toBe('1970-01-01T00:00:00.001Z');
});
