import { setImmediate as immediate } from 'node:timers/promises';

/** How long parts of all replies may be taken in one turn of the event loop before other work is let in, in milliseconds. */
const TURN_MS = 10;

let turnBegan: number | null = null;

/** For how long parts have been taken in this turn of the event loop, in milliseconds. */
function timeInTurn(): number {
  if (turnBegan === null) {
    turnBegan = performance.now();
    setImmediate(() => (turnBegan = null));
    return 0;
  }
  return performance.now() - turnBegan;
}

/** A runtime has sent no part for too long. */
export class SilenceError extends Error {
  override name = 'SilenceError';
}

/**
 * Reads the parts of a reply one after the other. Rejects with the abort's reason even if the source ignores it, and aborts a source
 * that is silent for too long. It is no generator, since each one that a word
 * passes through makes promises of its own.
 */
export class PartReader<T> {
  private readonly iterator: AsyncIterator<T>;
  private readonly signal: AbortSignal;
  private readonly timer: NodeJS.Timeout;
  private giveUp: ((reason: unknown) => void) | null = null;

  constructor(source: AsyncIterable<T>, abort: AbortController, silenceMs: number) {
    this.iterator = source[Symbol.asyncIterator]();
    this.signal = abort.signal;
    this.signal.addEventListener('abort', () => this.giveUp?.(abort.signal.reason), { once: true });
    this.timer = setTimeout(() => {
      if (this.giveUp) abort.abort(new SilenceError());
    }, silenceMs);
  }

  async next(): Promise<IteratorResult<T, unknown>> {
    if (timeInTurn() > TURN_MS) await immediate();
    this.signal.throwIfAborted();
    this.timer.refresh();
    const next = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
      this.giveUp = reject;
      this.iterator.next().then(resolve, reject);
    });
    this.giveUp = null;
    return next;
  }

  /** Must be called once, however the reading ends. */
  leave(): void {
    clearTimeout(this.timer);
    this.giveUp = null;
    // Not awaited: a source that hangs would block its own end.
    this.iterator.return?.().then(undefined, () => undefined);
  }
}
