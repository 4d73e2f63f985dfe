import type { Worker } from 'node:worker_threads';
import { UnavailableError } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { startWorker } from '../../worker-thread.ts';
import type { DnsRecords } from './dmarc.ts';
import type { LetterMessage, LetterRequest, ReadLetter } from './letter-worker.ts';
import { headersOf } from './read-letter.ts';

export const readingLimits = {
  /** Of one letter, once its turn has come, and of the start of the worker before it. */
  milliseconds: 30_000,
  /** Memory of the whole worker. */
  megabytes: 512,
  /** Letters that wait for their turn. */
  waiting: 20,
  /** Bytes of the letters that wait and of the one that is read. */
  waitingBytes: 128 * 1024 * 1024,
} as const;

/** How long the worker may take to start, in milliseconds. */
const START_MS = 30_000;

interface Reading {
  request: LetterRequest;
  resolve: (read: ReadLetter) => void;
  reject: (error: Error) => void;
}

/**
 * Reads letters one after the other, in a worker with limits on time and memory, so that none of them holds up this thread. Of one
 * that exceeds them only the headers are read, and the worker is replaced. `close` ends it.
 */
export class LetterReader {
  private readonly logger: Logger;
  private readonly limits: { [name in keyof typeof readingLimits]: number };
  private readonly waiting: Reading[] = [];
  private bytes = 0;
  private worker: Worker | null = null;
  private running: { reading: Reading; timer: NodeJS.Timeout } | null = null;
  private isReady = false;
  private isClosed = false;
  private lastId = 0;

  constructor(logger: Logger, limits: Partial<LetterReader['limits']> = {}) {
    this.logger = logger;
    this.limits = { ...readingLimits, ...limits };
  }

  /**
   * Like `readLetter`, and tells by `records` whether the letter is vouched for. Throws `UnavailableError` while too many letters wait,
   * and the reason of the signal when that aborts.
   */
  async read(
    raw: Uint8Array,
    { records = new Map(), signal }: { records?: DnsRecords; signal?: AbortSignal } = {},
  ): Promise<ReadLetter> {
    const { waiting, waitingBytes } = this.limits;
    if (this.isClosed || this.waiting.length >= waiting || this.bytes + raw.byteLength > waitingBytes) {
      throw new UnavailableError('Too many letters are waiting to be read. Nothing was done. Try again.', 5);
    }
    signal?.throwIfAborted();
    this.bytes += raw.byteLength;
    let leave: () => void = () => undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.lastId += 1;
        const reading = { request: { id: this.lastId, raw, records }, resolve, reject };
        leave = () => {
          const place = this.waiting.indexOf(reading);
          if (place >= 0) this.waiting.splice(place, 1);
          reject(signal?.reason as Error);
        };
        signal?.addEventListener('abort', leave);
        this.waiting.push(reading);
        this.next();
      });
    } finally {
      signal?.removeEventListener('abort', leave);
      this.bytes -= raw.byteLength;
    }
  }

  /** Ends the worker. What waits or is read fails with `UnavailableError`. */
  async close(): Promise<void> {
    this.isClosed = true;
    const { worker, running } = this;
    if (running) clearTimeout(running.timer);
    const unread = [...(running ? [running.reading] : []), ...this.waiting.splice(0)];
    this.worker = null;
    this.running = null;
    for (const { reject } of unread) reject(new UnavailableError('This server stops. Try again.', 5));
    await worker?.terminate();
  }

  private next(): void {
    if (this.running || this.isClosed) return;
    const reading = this.waiting.shift();
    if (!reading) return;
    this.worker ??= this.start();
    this.running = { reading, timer: this.limited() };
    this.worker.postMessage(reading.request);
  }

  /** The limit of the letter that is read now, or of the start of the worker before it. */
  private limited(): NodeJS.Timeout {
    const milliseconds = this.isReady ? this.limits.milliseconds : START_MS;
    return setTimeout(() => void this.drop('took too long'), milliseconds);
  }

  private start(): Worker {
    const limits = { maxOldGenerationSizeMb: this.limits.megabytes, maxYoungGenerationSizeMb: 64, stackSizeMb: 4 };
    const worker = startWorker('email/letter/letter-worker', {}, limits);
    worker.unref();
    worker.on('message', (message: LetterMessage) => {
      if (worker !== this.worker || !this.running) return;
      if (message === 'ready') {
        this.isReady = true;
        clearTimeout(this.running.timer);
        this.running.timer = this.limited();
        return;
      }
      if (this.running.reading.request.id !== message.id) return;
      clearTimeout(this.running.timer);
      this.running.reading.resolve({ letter: message.letter, vouchedFor: message.vouchedFor });
      this.running = null;
      this.next();
    });
    worker.on('error', (error) => {
      if (worker === this.worker) void this.drop(error.message);
    });
    worker.on('exit', () => {
      if (worker === this.worker) void this.drop('the worker ended');
    });
    return worker;
  }

  /** Replaces the worker. Of the letter that it was reading, only the headers are read. */
  private async drop(why: string): Promise<void> {
    const { worker, running, isReady } = this;
    this.worker = null;
    this.running = null;
    this.isReady = false;
    const ended = worker?.terminate();
    if (running) {
      clearTimeout(running.timer);
      const { reading } = running;
      this.logger.warn({ why, bytes: reading.request.raw.byteLength }, 'could not read a letter whole');
      // That the worker cannot start is no fault of the letter.
      if (isReady) {
        headersOf(reading.request.raw).then((letter) => reading.resolve({ letter, vouchedFor: false }), reading.reject);
      } else reading.reject(new UnavailableError('Letters cannot be read now. Nothing was done. Try again.', 5));
    }
    await ended;
    this.next();
  }
}
