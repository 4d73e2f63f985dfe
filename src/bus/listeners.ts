import type { Logger } from '../logger.ts';
import type { Hint, HintListener } from './hints.ts';

/** The listeners of one server. If a listener throws, the error is logged and the others and the publisher go on. */
export class Listeners {
  readonly #listeners = new Set<HintListener>();
  readonly #logger: Logger | undefined;

  constructor(logger?: Logger) {
    this.#logger = logger;
  }

  add(listener: HintListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  clear(): void {
    this.#listeners.clear();
  }

  hint(hint: Hint): void {
    this.#each((listener) => listener.onHint(hint));
  }

  reconnected(): void {
    this.#each((listener) => listener.onReconnect());
  }

  #each(tell: (listener: HintListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        tell(listener);
      } catch (error) {
        this.#logger?.error({ err: error }, 'a listener of the event bus failed');
      }
    }
  }
}
