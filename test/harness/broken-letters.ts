import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLetter } from '../../src/email/letter/read-letter.ts';

const folder = new URL('../fixtures/letters/', import.meta.url);
const letters = readdirSync(folder)
  .filter((name) => name.endsWith('.eml'))
  .map((name) => readFileSync(new URL(name, folder)));

const place = fc.double({ min: 0, max: 1, noNaN: true });
const at = (raw: Buffer, share: number) => Math.floor(share * raw.length);

type Mutation = (raw: Buffer) => Buffer;

const truncated = place.map(
  (share): Mutation =>
    (raw) =>
      raw.subarray(0, at(raw, share)),
);
const beheaded = place.map(
  (share): Mutation =>
    (raw) =>
      raw.subarray(at(raw, share)),
);
const flipped = fc
  .array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 30 })
  .map((bytes): Mutation => (raw) => {
    const copy = Buffer.from(raw);
    for (const [share, value] of bytes) copy[Math.min(at(raw, share), raw.length - 1)] = value;
    return copy;
  });
const doubled = fc
  .tuple(place, place, fc.integer({ min: 1, max: 60 }))
  .map(([one, other, times]): Mutation => (raw) => {
    const [from, to] = [at(raw, Math.min(one, other)), at(raw, Math.max(one, other))];
    return Buffer.concat([
      raw.subarray(0, to),
      ...Array.from({ length: times }, () => raw.subarray(from, to)),
      raw.subarray(to),
    ]);
  });
const headersDoubled = fc.integer({ min: 1, max: 50 }).map((times): Mutation => (raw) => {
  const end = raw.indexOf('\r\n\r\n') + 2;
  return Buffer.concat([...Array.from({ length: times }, () => raw.subarray(0, end)), raw]);
});
const mixed = fc.tuple(fc.nat(letters.length - 1), place).map(([other, share]): Mutation => (raw) => {
  const tail = letters[other] ?? raw;
  return Buffer.concat([raw.subarray(0, at(raw, share)), tail.subarray(at(tail, share))]);
});

/** A test that so many letters, each broken in another way, are read. */
export function testBrokenLetters(count: number): void {
  test(`of ${count} broken letters each is read within bounds`, async () => {
    const mutations = fc.array(fc.oneof(truncated, beheaded, flipped, doubled, headersDoubled, mixed), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(letters.length - 1), mutations, async (index, chain) => {
        let raw: Buffer = letters[index] ?? Buffer.alloc(0);
        for (const mutate of chain) raw = mutate(raw).subarray(0, 500_000);
        const letter = await readLetter(raw);
        expect(letter.text.length).toBeLessThanOrEqual(200_000);
        expect(letter.newText.length).toBeLessThanOrEqual(200_000);
        expect(letter.attachments.length).toBeLessThanOrEqual(20);
        expect(letter.subject.length).toBeLessThanOrEqual(998);
        expect(letter.references.length).toBeLessThanOrEqual(100);
        expect(`${letter.subject}${letter.text}${letter.newText}`).not.toContain('\0');
        for (const { code, text } of letter.issues)
          expect([code, text.length <= 1000]).toEqual([expect.any(String), true]);
      }),
      { numRuns: count },
    );
  });
}
