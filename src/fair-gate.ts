import { FairQueue } from './fair-queue.ts';

/** Limits how many pieces of work run at the same time. Those whose work waits take turns, each in order of arrival. */
export class FairGate {
  private free: number;
  private readonly waiting = new FairQueue<() => void>();

  constructor(limit: number) {
    this.free = limit;
  }

  /** Runs `work` when the turn of `whose` comes. Returns its result or throws its error. */
  async run<T>(whose: string, work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.add([whose], resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.take();
      if (next) next();
      else this.free += 1;
    }
  }
}
