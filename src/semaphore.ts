/** Lets at most so many pieces of work run at once; the rest wait in the order in which they came. */
export class Semaphore {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.free = limit;
  }

  /** How many wait for their turn. */
  get queued(): number {
    return this.waiting.length;
  }

  /** Runs `work` when its turn has come; its outcome is returned or thrown. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}
