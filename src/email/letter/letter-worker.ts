import { parentPort } from 'node:worker_threads';
import { type DnsRecords, isVouchedFor } from './dmarc.ts';
import type { Letter } from './letter.ts';
import { readLetter } from './read-letter.ts';

export interface LetterRequest {
  id: number;
  raw: Uint8Array;
  records: DnsRecords;
}

/** A letter that was read, and whether the domain of its sender vouches for it. */
export interface ReadLetter {
  letter: Letter;
  vouchedFor: boolean;
}

export interface LetterAnswer extends ReadLetter {
  id: number;
}

/** The worker says that it has started, and then answers. */
export type LetterMessage = 'ready' | LetterAnswer;

const port = parentPort;
if (!port) throw new Error('This module runs as a worker.');

async function read({ id, raw, records }: LetterRequest): Promise<LetterAnswer> {
  const letter = await readLetter(raw);
  if (letter.from === null) return { id, letter, vouchedFor: false };
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const { vouchedFor, issue } = await isVouchedFor(bytes, letter.from.address, records);
  return { id, letter: issue ? { ...letter, issues: [...letter.issues, issue] } : letter, vouchedFor };
}

port.on('message', (request: LetterRequest) => {
  void read(request).then((answer) => port.postMessage(answer));
});

port.postMessage('ready' satisfies LetterMessage);
