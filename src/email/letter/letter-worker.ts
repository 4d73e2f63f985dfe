import { parentPort } from 'node:worker_threads';
import type { Letter } from './letter.ts';
import { type LetterEnvelope, readLetter } from './read-letter.ts';

export interface LetterRequest {
  id: number;
  raw: Uint8Array;
  envelope: LetterEnvelope;
}

export interface LetterAnswer {
  id: number;
  letter: Letter;
}

/** The worker says that it has started, and then answers. */
export type LetterMessage = 'ready' | LetterAnswer;

const port = parentPort;
if (!port) throw new Error('This module runs as a worker.');

port.on('message', ({ id, raw, envelope }: LetterRequest) => {
  void readLetter(raw, envelope).then((letter) => port.postMessage({ id, letter } satisfies LetterMessage));
});

port.postMessage('ready' satisfies LetterMessage);
