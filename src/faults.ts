import type { Logger } from './logger.ts';

/** Emits errors that nothing caught, like `process`. */
interface FaultSource {
  on(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
  on(event: 'uncaughtException', listener: (error: Error) => void): unknown;
}

/**
 * Handles errors that nothing caught. They are logged and counted, and the process goes on: an error of one request must not end the replies
 * of all others. Claims, leases and the event log are decided in the database, so they do not depend on the state that such an error left.
 */
export class Faults {
  unhandledRejections = 0;
  uncaughtExceptions = 0;
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** From now on the process goes on after such an error. */
  watch(source: FaultSource): void {
    source.on('unhandledRejection', (reason) => {
      this.unhandledRejections += 1;
      const err = reason instanceof Error ? reason : new Error(String(reason));
      this.logger.error({ err, count: this.unhandledRejections }, 'a rejected promise was not handled');
    });
    source.on('uncaughtException', (error) => {
      this.uncaughtExceptions += 1;
      const err = error instanceof Error ? error : new Error(String(error));
      this.logger.error({ err, count: this.uncaughtExceptions }, 'an exception was not caught');
    });
  }
}
