import type { Logger } from './logger.ts';
import { Shutdown, type ShutdownOptions } from './shutdown-deadline.ts';

/** A start, step by step: what it has opened, and how that is closed again. */
export class Startup {
  readonly logger: Logger;
  /** Breaks off the start. */
  readonly signal: AbortSignal;
  private readonly shutdownSeconds: number;
  private readonly opened: ((shutdown: Shutdown) => Promise<void> | void)[] = [];
  private stepBegan = performance.now();

  constructor(shutdownSeconds: number, logger: Logger, signal: AbortSignal) {
    this.shutdownSeconds = shutdownSeconds;
    this.logger = logger;
    this.signal = signal;
  }

  /** Tells of a step that is done, with the time it took; throws the signal's reason when the start is to break off. */
  step(what: string): void {
    this.logger.info(`${what} (${((performance.now() - this.stepBegan) / 1000).toFixed(1)} s).`);
    this.stepBegan = performance.now();
    this.signal.throwIfAborted();
  }

  /** To be told of each part as soon as it is open, with what closes it. */
  onClose(end: (shutdown: Shutdown) => Promise<void> | void): void {
    this.opened.push(end);
  }

  /** Closes everything in the reverse order, within the time that the settings give for all of it. Never rejects. */
  async close(options: ShutdownOptions = {}): Promise<void> {
    const shutdown = new Shutdown(this.shutdownSeconds, options);
    for (const end of this.opened.splice(0).reverse()) {
      const ended = Promise.resolve(end(shutdown)).catch((error: unknown) => {
        this.logger.error({ err: error }, 'could not close a part');
      });
      await shutdown.within(ended, shutdown.remainingMs);
    }
  }
}
