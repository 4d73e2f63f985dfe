import type { Dispatcher } from 'undici';

/** How much of an answer is read, in bytes. */
const MAX_BYTES = 64 * 1024;

/** A try took longer than it may, and no status had come. */
export class TimeoutError extends Error {
  override name = 'TimeoutError';
}

/** What an endpoint has answered. */
export interface AnswerRead {
  statusCode: number;
  /** The header. */
  retryAfter: string | undefined;
  /** The beginning of the body. */
  text: string;
}

type Controller = Dispatcher.DispatchController;

/**
 * Reads an answer to its end, so that its connection can be kept, or up to the limit or the time. Once its status has come that is what
 * it says, however the rest ends.
 */
export class Answer implements Dispatcher.DispatchHandler {
  private readonly settled: Promise<AnswerRead>;
  private readonly timer: NodeJS.Timeout;
  private resolve: (answer: AnswerRead) => void = () => undefined;
  private reject: (error: Error) => void = () => undefined;
  private controller: Controller | null = null;
  private isOver = false;
  private statusCode: number | null = null;
  private retryAfter: string | undefined;
  private readonly chunks: Buffer[] = [];
  private length = 0;

  constructor(timeoutMs: number) {
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.timer = setTimeout(() => this.breakOff(new TimeoutError('It took too long.')), timeoutMs);
  }

  /** Rejects if no status comes: with what prevented it. */
  read(): Promise<AnswerRead> {
    return this.settled;
  }

  onRequestStart(controller: Controller): void {
    this.controller = controller;
    // It waited for its connection longer than it may take.
    if (this.isOver) controller.abort(new TimeoutError('It took too long.'));
  }

  onResponseStart(_controller: Controller, statusCode: number, headers: Headers): void {
    // What is below only announces the answer.
    if (statusCode < 200) return;
    this.statusCode = statusCode;
    const { 'retry-after': retryAfter } = headers;
    this.retryAfter = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.length += chunk.byteLength;
    if (this.length > MAX_BYTES) this.breakOff(new Error('It answers too much.'));
    else this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.settle(null);
  }

  onResponseError(_controller: Controller, error: Error): void {
    this.settle(error);
  }

  private breakOff(error: Error): void {
    this.settle(error);
    this.controller?.abort(error);
  }

  /** `error`: why there is no status, if there is none. */
  private settle(error: Error | null): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    const { statusCode, retryAfter } = this;
    if (statusCode === null) this.reject(error ?? new Error('It ended without a status.'));
    else this.resolve({ statusCode, retryAfter, text: Buffer.concat(this.chunks).toString('utf8') });
  }
}

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];
