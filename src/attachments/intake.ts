import { Transform, type TransformCallback } from 'node:stream';
import { SNIFFED_BYTES } from './sniff.ts';
import { intakeTurns } from './turns.ts';

/** Why a file was not taken. The message is shown to whoever sent it. */
export class IntakeError extends Error {
  override name = 'IntakeError';
  readonly reason: 'TOO_LARGE' | 'TOO_SHORT' | 'TOO_SLOW' | 'BROKEN_OFF';

  constructor(reason: IntakeError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** How long a peer may send or read nothing, in milliseconds. */
export const STALL_MS = 20_000;
/** What every transfer must reach in all, in bytes a second, after the time that a stall may take. */
const SLOWEST = 32 * 1024;

/** How long a transfer of so many bytes may take in all, in milliseconds. */
export const longestTransfer = (bytes: number) => STALL_MS + (bytes / SLOWEST) * 1000;

/** How much must arrive, in bytes: exactly so many, or at most. */
export type Expected = { exactly: number } | { atMost: number };

/**
 * What arrives of a file: counts it, keeps its beginning and passes it on. Fails with `IntakeError` as soon as there is more than
 * expected, at the end if there is less, and when it comes too slowly.
 */
export class Intake extends Transform {
  bytes = 0;
  private readonly expected: Expected;
  private readonly most: number;
  private readonly kept: Buffer[] = [];
  private keptBytes = 0;
  private readonly stall: NodeJS.Timeout;
  private readonly whole: NodeJS.Timeout;

  constructor(expected: Expected, stallMs = STALL_MS) {
    super();
    this.expected = expected;
    this.most = 'exactly' in expected ? expected.exactly : expected.atMost;
    // It may fail before anybody reads it; whoever does asks for `errored`.
    this.on('error', () => undefined);
    const slow = () => this.destroy(new IntakeError('TOO_SLOW', 'The file arrived too slowly.'));
    this.stall = setTimeout(slow, stallMs);
    this.whole = setTimeout(slow, longestTransfer(this.most));
  }

  /** The first bytes. */
  get beginning(): Buffer {
    return Buffer.concat(this.kept);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.stall.refresh();
    this.bytes += chunk.byteLength;
    if (this.bytes > this.most) {
      return done(new IntakeError('TOO_LARGE', `The file has more than ${this.most} bytes.`));
    }
    if (this.keptBytes < SNIFFED_BYTES) {
      // A copy: the chunk may be a part of something much larger.
      const part = Buffer.from(chunk.subarray(0, SNIFFED_BYTES - this.keptBytes));
      this.kept.push(part);
      this.keptBytes += part.byteLength;
    }
    // Until then nothing more is read from the peer.
    intakeTurns.wait(() => done(null, chunk));
  }

  override _flush(done: TransformCallback): void {
    if ('exactly' in this.expected && this.bytes < this.most) {
      return done(new IntakeError('TOO_SHORT', `The file has ${this.bytes} bytes in place of ${this.most}.`));
    }
    // What is left waits for the storage alone.
    clearTimeout(this.stall);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.stall);
    clearTimeout(this.whole);
    done(error);
  }
}
