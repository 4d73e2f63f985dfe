import { setTimeout as sleep } from 'node:timers/promises';

export interface ShutdownOptions {
  /** Whether it goes on taking work for a while that it tells others of. Default false. */
  drain?: boolean;
  /** Cuts that short, and the grace of running replies too. */
  hurry?: AbortSignal;
}

/** One shutdown: how much time is left for all of it together. */
export class Shutdown {
  /** Whether others are told before work is refused. */
  readonly drain: boolean;
  /** Aborts when there is to be no more waiting. */
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

  /** As `within`, and also when there is to be no more waiting. */
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
