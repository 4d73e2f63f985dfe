import { isTurnOver, nextTurn } from '../turn-of-loop.ts';

/** A runtime has sent no part for too long. */
export class SilenceError extends Error {
  override name = 'SilenceError';
}

/**
 * Reads the parts of a reply, those that come together at once. Rejects with the abort's reason even if the source ignores it, and aborts
 * a source that is silent for too long. It is no generator, since each one that a word passes through makes promises of its own.
 */
export class PartReader<T extends object> {
  private readonly iterator: AsyncIterator<T | readonly T[]>;
  private readonly signal: AbortSignal;
  private readonly timer: NodeJS.Timeout;
  private giveUp: ((reason: unknown) => void) | null = null;

  constructor(source: AsyncIterable<T | readonly T[]>, abort: AbortController, silenceMs: number) {
    this.iterator = source[Symbol.asyncIterator]();
    this.signal = abort.signal;
    this.signal.addEventListener('abort', () => this.giveUp?.(abort.signal.reason), { once: true });
    this.timer = setTimeout(() => {
      if (this.giveUp) abort.abort(new SilenceError());
    }, silenceMs);
  }

  /** Null at the end. */
  next(): Promise<readonly T[] | null> {
    return isTurnOver() ? nextTurn().then(() => this.take()) : this.take();
  }

  /** Must be called once, however the reading ends. */
  leave(): void {
    clearTimeout(this.timer);
    this.giveUp = null;
    // Not awaited: a source that hangs would block its own end.
    this.iterator.return?.().then(undefined, () => undefined);
  }

  private take(): Promise<readonly T[] | null> {
    return new Promise((resolve, reject) => {
      this.signal.throwIfAborted();
      this.timer.refresh();
      this.giveUp = reject;
      this.iterator.next().then((next) => {
        this.giveUp = null;
        if (next.done) resolve(null);
        else resolve(isList(next.value) ? next.value : [next.value]);
      }, reject);
    });
  }
}

function isList<T extends object>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
