/** Limits how many pieces of work run at the same time. The others wait in order of arrival. */
export class Semaphore {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.free = limit;
  }

  /** Number of waiting pieces of work. */
  get queued(): number {
    return this.waiting.length;
  }

  /** Runs `work` when its turn comes. Returns its result or throws its error. */
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
