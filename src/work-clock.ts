import { AsyncLocalStorage } from 'node:async_hooks';
import { UnavailableError } from './errors.ts';

/** Counts the time that an operation works. When the time is over, its statements are cancelled and it may run no more. */
export class WorkClock {
  /** Called when the time is over. */
  readonly onExpiry = new Set<() => void>();
  private left: number;
  private runningSince = 0;
  private pauses = 0;
  private timer: NodeJS.Timeout | null = null;
  private expired = false;

  /** Starts at once, with a limit in milliseconds, and runs until `end` is called. */
  constructor(limitMs: number) {
    this.left = limitMs;
    this.run();
  }

  /** Throws `UnavailableError` once the time is over. */
  check(): void {
    if (this.expired) throw new UnavailableError('The operation took too long, and the rest of it was not done.', 5);
  }

  /** Runs something that does not count as work. */
  async apart<T>(wait: () => Promise<T>): Promise<T> {
    this.pauses += 1;
    this.stop();
    try {
      return await wait();
    } finally {
      this.pauses -= 1;
      if (this.pauses === 0) this.run();
    }
  }

  end(): void {
    this.stop();
    this.left = Infinity;
  }

  private run(): void {
    if (this.timer || this.left === Infinity) return;
    this.runningSince = performance.now();
    this.timer = setTimeout(() => {
      this.expired = true;
      for (const expire of [...this.onExpiry]) expire();
    }, this.left);
  }

  private stop(): void {
    if (!this.timer) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.left = Math.max(0, this.left - (performance.now() - this.runningSince));
  }
}

const clocks = new AsyncLocalStorage<WorkClock | undefined>();

/** Runs an operation whose statements count on this clock. */
export function onClock<T>(clock: WorkClock, work: () => T): T {
  return clocks.run(clock, work);
}

/** The clock of the current operation. Undefined outside of operations. */
export function currentClock(): WorkClock | undefined {
  return clocks.getStore();
}

/** Runs something that does not count as work of the current operation. */
export function apart<T>(wait: () => Promise<T>): Promise<T> {
  return currentClock()?.apart(wait) ?? wait();
}

/** Runs shared work, which must not end with the operation that happens to start it. */
export function outsideOperations<T>(work: () => T): T {
  // Not `exit`, which switches the tracking of all promises off and on again.
  return clocks.run(undefined, work);
}
