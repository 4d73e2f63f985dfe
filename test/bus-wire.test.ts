import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authorKindsOfHints, type Hint, type HintAuthor } from '../src/bus/hints.ts';
import { HintBuffer } from '../src/bus/hint-buffer.ts';
import { decodeHints, encodeHints } from '../src/bus/wire.ts';

const id = fc.constantFrom('conv_1', 'conv_2');
const text = fc.string({
  unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', 'é', '字', '😀'),
  minLength: 1,
  maxLength: 2_000,
});
const nullable = fc.constantFrom('a name', null);
const hint = (offset: fc.Arbitrary<number>, text: fc.Arbitrary<string>): fc.Arbitrary<Hint> =>
  fc.oneof(
    fc.record({ kind: fc.constant('log' as const), conversationId: id, version: fc.nat() }),
    fc.record({ kind: fc.constant('fragments' as const), conversationId: id, messageId: fc.constant('msg_1') }),
    fc.record({ kind: fc.constant('who-is-there' as const), conversationId: id }),
    fc.record({ kind: fc.constant('read' as const), conversationId: id, position: fc.nat() }),
    fc.record({ kind: fc.constant('absent' as const), conversationId: id, person: fc.constant('contact:1') }),
    fc.record(
      {
        kind: fc.constant('present' as const),
        conversationId: id,
        person: fc.constant('operator:1'),
        author: fc.record(
          {
            kind: fc.constantFrom(...authorKindsOfHints),
            displayName: nullable,
            avatarUrl: nullable,
            externalId: nullable,
            contactId: nullable,
            operatorId: nullable,
          } satisfies Record<keyof HintAuthor, unknown>,
          { requiredKeys: ['kind'] },
        ),
        typing: fc.boolean(),
      },
      { requiredKeys: ['kind', 'conversationId', 'person', 'author'] },
    ),
    fc.record({ kind: fc.constant('revoked' as const), keyId: fc.constantFrom('key_1', 'key_2') }),
    fc.record({
      kind: fc.constant('text' as const),
      conversationId: id,
      messageId: fc.constant('msg_1'),
      fragment: fc.nat(1),
      offset,
      text,
    }),
  );

describe('payloads', () => {
  it('bring every hint across in order, within the limit, texts cut between characters only', () => {
    fc.assert(
      fc.property(
        fc.array(hint(fc.nat(), text), { maxLength: 20 }),
        fc.integer({ min: 400, max: 3_000 }),
        (hints, limit) => {
          const payloads = encodeHints('sender', hints, limit);
          for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(limit);
          const received = payloads.flatMap((payload) => decodeHints('receiver', payload));
          for (const each of received) if (each.kind === 'text') expect(each.text.isWellFormed()).toBe(true);
          expect(merged(received)).toEqual(merged(hints));
          expect(payloads.flatMap((payload) => decodeHints('sender', payload))).toEqual([]);
        },
      ),
    );
  });

  it('are few', () => {
    const delta = (offset: number): Hint => ({
      kind: 'text',
      conversationId: 'conv_01k4x6w2x8e0rb5v5z5q1c7m3n',
      messageId: 'msg_01k4x6w2x8e0rb5v5z5q1c7m3p',
      fragment: 0,
      offset,
      text: 'five!',
    });
    const separate = Array.from({ length: 400 }, (_, i) => delta(i * 10));
    expect(encodeHints('sender', separate, 7_999)).toHaveLength(8);
    const outbox = new HintBuffer(1_000_000);
    for (let i = 0; i < 400; i += 1) outbox.add(delta(i * 5));
    expect(encodeHints('sender', outbox.take(), 7_999)).toHaveLength(1);
  });

  it('leave out what cannot be carried at all', () => {
    const endless: Hint = { kind: 'fragments', conversationId: 'x'.repeat(8_000), messageId: 'msg_1' };
    const good: Hint = { kind: 'log', conversationId: 'conv_1', version: 1 };
    const payloads = encodeHints(
      'sender',
      [endless, { ...endless, kind: 'text', fragment: 0, offset: 0, text: 'x' }, good],
      7_999,
    );
    expect(payloads.flatMap((payload) => decodeHints('receiver', payload))).toEqual([good]);
  });
});

describe('hints that wait', () => {
  it('keep the order within each conversation and lose no text', () => {
    fc.assert(
      fc.property(fc.array(hint(fc.nat(3), fc.constant('x')), { maxLength: 50 }), (given) => {
        // Without the objects that have no prototype, which are equal to none that has.
        const hints = given.map((each) => structuredClone(each));
        const outbox = new HintBuffer(Infinity);
        for (const each of hints) expect(outbox.add(each)).toBe(true);
        const waiting = outbox.take();
        for (const conversationId of ['conv_1', 'conv_2']) {
          const own = (list: Hint[]) =>
            once(list.filter((each) => 'conversationId' in each && each.conversationId === conversationId));
          expect(merged(own(waiting))).toEqual(merged(own(hints)));
        }
        expect(outbox.size).toBe(0);
        expect(outbox.take()).toEqual([]);
      }),
    );
  });

  it('join only where text goes on in the same fragment', () => {
    const outbox = new HintBuffer(Infinity);
    const delta = (messageId: string, fragment: number, offset: number): Hint => {
      return { kind: 'text', conversationId: 'conv_1', messageId, fragment, offset, text: 'xy' };
    };
    const apart = [delta('msg_1', 0, 0), delta('msg_1', 1, 2), delta('msg_2', 1, 4), delta('msg_2', 1, 7)];
    for (const each of apart) outbox.add(each);
    outbox.add(delta('msg_2', 1, 9));
    expect(outbox.take()).toEqual([...apart.slice(0, 3), { ...delta('msg_2', 1, 7), text: 'xyxy' }]);
  });

  it('give way, the oldest first, when they are too many', () => {
    const outbox = new HintBuffer(1_000);
    const log = (version: number): Hint => ({ kind: 'log', conversationId: `conv_${version}`, version });
    const kept = Array.from({ length: 100 }, (_, i) => outbox.add(log(i)));
    expect(kept.indexOf(false)).toBe(6);
    expect(outbox.size).toBeLessThanOrEqual(1_000);
    expect(outbox.take()).toEqual([94, 95, 96, 97, 98, 99].map(log));
  });
});

/** Without what is said twice in a row. */
function once(hints: Hint[]): Hint[] {
  return hints.filter((hint, i) => hint.kind === 'text' || !isDeepStrictEqual(hint, hints[i - 1]));
}

/** With texts that follow each other joined. */
function merged(hints: Hint[]): Hint[] {
  const result: Hint[] = [];
  for (const next of hints) {
    const last = result.at(-1);
    const joins =
      next.kind === 'text' &&
      last?.kind === 'text' &&
      next.conversationId === last.conversationId &&
      next.fragment === last.fragment &&
      next.offset === last.offset + last.text.length;
    if (joins) last.text += next.text;
    else result.push({ ...next });
  }
  return result;
}
