import type { Logger } from './logger.ts';

/** What a process tells of faults that nothing caught. */
interface FaultSource {
  on(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown;
  on(event: 'uncaughtException', listener: (error: Error) => void): unknown;
}

/**
 * Faults that nothing caught. They are logged and counted, and end nothing: what one request did wrong must not end the replies
 * of all others. The claims, the leases and the log are decided in the database, so none of them rests on what such a fault broke.
 */
export class Faults {
  unhandledRejections = 0;
  uncaughtExceptions = 0;
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** From now on the process goes on after such a fault. */
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
