import type { ExecutionResult } from 'graphql';
import { shuttingDown } from './errors.ts';

/**
 * The operations that this server has accepted and carries out, over every transport. Once closed none begins, and those that
 * have begun can be waited for: so what was accepted is carried out, and nothing is accepted that nobody would carry out.
 */
export class AcceptedOperations {
  private running = 0;
  private closed = false;
  private onIdle: (() => void)[] = [];

  get isClosed(): boolean {
    return this.closed;
  }

  /** Runs a query or mutation to its end. Once closed its result is SERVICE_UNAVAILABLE, with nothing done. */
  async run<T>(work: () => T | Promise<T>): Promise<T | ExecutionResult> {
    if (this.closed) return { errors: [shuttingDown()] };
    this.running += 1;
    try {
      return await work();
    } finally {
      this.running -= 1;
      if (this.running === 0) for (const resolve of this.onIdle.splice(0)) resolve();
    }
  }

  close(): void {
    this.closed = true;
  }

  /** Resolves when none runs. */
  async idle(): Promise<void> {
    if (this.running > 0) await new Promise<void>((resolve) => this.onIdle.push(resolve));
  }
}
