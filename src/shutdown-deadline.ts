import { setTimeout as sleep } from 'node:timers/promises';

export interface ShutdownOptions {
  /** Whether to keep accepting work for a while, so that load balancers notice first. Default: false. */
  drain?: boolean;
  /** Ends the draining and the grace for running replies early. */
  hurry?: AbortSignal;
}

/** One shutdown, with the time that is left for all its steps together. */
export class Shutdown {
  /** Whether to keep accepting work for a while. */
  readonly drain: boolean;
  /** Aborts when nothing should be waited for any more. */
  readonly hurry: AbortSignal;
  private readonly deadline: number;

  constructor(seconds: number, options: ShutdownOptions = {}) {
    this.drain = options.drain ?? false;
    this.hurry = options.hurry ?? new AbortController().signal;
    this.deadline = performance.now() + seconds * 1000;
  }

  /** Never below zero. */
  get remainingMs(): number {
    return Math.max(0, this.deadline - performance.now());
  }

  /** Resolves when `work` does, after `ms`, or when the time is up. */
  async within(work: Promise<void>, ms: number): Promise<void> {
    await this.race(work, ms, new AbortController());
  }

  /** Like `within`, but also resolves when `hurry` aborts. */
  async patiently(work: Promise<void>, ms: number): Promise<void> {
    const done = new AbortController();
    const onHurry = () => done.abort();
    this.hurry.addEventListener('abort', onHurry);
    if (this.hurry.aborted) done.abort();
    await this.race(work, ms, done);
    this.hurry.removeEventListener('abort', onHurry);
  }

  private async race(work: Promise<void>, ms: number, done: AbortController): Promise<void> {
    const wait = Math.max(0, Math.min(ms, this.remainingMs));
    await Promise.race([work, sleep(wait, undefined, { signal: done.signal }).catch(() => undefined)]);
    done.abort();
  }
}
