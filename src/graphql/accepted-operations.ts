import type { ExecutionResult } from 'graphql';
import { shuttingDown } from './errors.ts';

/**
 * The operations that this server has accepted, over all transports. After closing, none begins, and those that have begun can
 * be waited for. So every accepted operation is carried out.
 */
export class AcceptedOperations {
  private running = 0;
  private closed = false;
  private onIdle: (() => void)[] = [];

  get isClosed(): boolean {
    return this.closed;
  }

  /** Runs a query or mutation to its end. After closing, does nothing and returns SERVICE_UNAVAILABLE. */
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

  /** Resolves when no operation is running. */
  async idle(): Promise<void> {
    if (this.running > 0) await new Promise<void>((resolve) => this.onIdle.push(resolve));
  }
}
