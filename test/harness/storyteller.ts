import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplyPart, Runtime } from '../../src/agents/runtime.ts';
import { Random } from './random.ts';

/** How long a storyteller's reply is, and how fast it comes. As runtime parameters. */
export interface Telling {
  words: number;
  /** 0 is as fast as possible. */
  wordsPerSecond: number;
}

const vocabulary = [
  ...[
    'word ',
    'sea, ',
    'Größe ',
    'façade\n',
    'cafe\u0301 ',
    '"quoted" ',
    'back\\slash ',
    '<b>&amp; ',
    '\t',
    '{"a":1} ',
  ],
  ...[
    '日本語',
    '한국어 ',
    'שלום ',
    'مرحبا ',
    'नमस्ते ',
    'ไทย ',
    '𝒻𝓁𝑜𝓌 ',
    '𠜎𠜱',
    '👍🏽 ',
    '👩‍👩‍👧‍👦 ',
    '🏳️‍🌈',
    '🇨🇭 ',
    '\u2028',
    '🌊',
  ],
];

/** The texts of the one or two text fragments that the storyteller answers a message with: always the same to the same. */
export function storyOf(question: string, { words }: Pick<Telling, 'words'>): string[] {
  const random = new Random(createHash('sha256').update(question).digest().readUInt32LE());
  const tell = (count: number) => Array.from({ length: count }, () => random.pick(vocabulary)).join('');
  const first = random.pick([Math.floor(words / 3), words]);
  return first < words ? [tell(first), tell(words - first)] : [tell(words)];
}

/** A runtime without a database that tells stories in pieces cut anywhere, inside of surrogate pairs too. */
export const storyteller: Runtime = {
  name: 'storyteller',
  parametersSchema: {
    type: 'object',
    properties: { words: { type: 'integer' }, wordsPerSecond: { type: 'number' } },
    required: ['words', 'wordsPerSecond'],
  },
  async *reply({ history, parameters }, signal): AsyncGenerator<ReplyPart> {
    const words = Number(parameters.words);
    const wordsPerSecond = Number(parameters.wordsPerSecond);
    const story = storyOf(history.findLast(({ role }) => role === 'USER')?.text ?? '', { words });
    const pieceLength = Math.ceil(story.join('').length / words);
    const start = performance.now();
    let pieces = 0;
    for (const [page, text] of story.entries()) {
      if (page > 0) {
        yield { type: 'tool-call', callId: 'turn', name: 'turnPage', args: {} };
        yield { type: 'tool-result', callId: 'turn', response: { page }, failed: false };
      }
      yield { type: 'text-start' };
      for (let at = 0; at < text.length; at += pieceLength) {
        const early = wordsPerSecond > 0 ? start + (1000 * pieces++) / wordsPerSecond - performance.now() : 0;
        if (early > 0) await sleep(early, undefined, { signal });
        yield { type: 'text-delta', text: text.slice(at, at + pieceLength) };
      }
      yield { type: 'text-end' };
    }
    yield { type: 'finish' };
  },
};
