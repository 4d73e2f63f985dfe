import { UnavailableError } from './errors.ts';

/** Counts the time that an operation works. When the time is over, it may begin nothing more. */
export class WorkClock {
  /** Called when the time is over. */
  readonly onExpiry = new Set<() => void>();
  readonly limitMs: number;
  private left: number;
  private isOn = false;
  private runningSince = 0;
  private pauses = 0;
  private timer: NodeJS.Timeout | null = null;
  private expired = false;

  /** With a limit in milliseconds. It does not run yet. */
  constructor(limitMs: number) {
    this.limitMs = limitMs;
    this.left = limitMs;
  }

  /** Runs until `end` is called. */
  start(): void {
    this.isOn = true;
    this.run();
  }

  /** Why nothing more may begin, once the time is over. */
  get fault(): UnavailableError | null {
    if (!this.expired) return null;
    return new UnavailableError('The operation took too long, and the rest of it was not done.', 5);
  }

  /** Throws `UnavailableError` once the time is over. */
  check(): void {
    if (this.fault) throw this.fault;
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

  /** What goes on after the operation, as a subscription does, is not limited. */
  end(): void {
    this.stop();
    this.isOn = false;
    this.expired = false;
    // Who keeps the clock keeps what those lead to, such as a result.
    this.onExpiry.clear();
  }

  private run(): void {
    if (this.timer || !this.isOn || this.left === Infinity) return;
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

const unlimited = new WorkClock(Infinity);

/** The clock in the context of an operation. One without a limit if it has none. */
export function clockOf(context: unknown): WorkClock {
  const hasClock = typeof context === 'object' && context !== null && 'clock' in context;
  return hasClock && context.clock instanceof WorkClock ? context.clock : unlimited;
}
