import type { Stream } from './stream.ts';

/** A stream as one follower saw it, which goes on growing in the background. */
export interface Recording<T> {
  readonly events: readonly T[];
  /** Resolves when the stream has completed. Rejects when it failed, or has not ended in time. */
  ended(): Promise<readonly T[]>;
  /** Resolves when the condition holds of what was seen. Rejects when it does not in time. */
  until(condition: (events: readonly T[]) => boolean): Promise<readonly T[]>;
  /** Leaves the stream. */
  leave(): Promise<void>;
}

const DEADLINE_MS = 12_000;

/** Begins to follow at once. */
export function record<T>(stream: Stream<T>): Recording<T> {
  const events: T[] = [];
  const watchers = new Set<() => void>();
  let ending: { error?: unknown } | undefined;
  const notify = () => {
    for (const watch of [...watchers]) watch();
  };
  void (async () => {
    try {
      for await (const event of stream) {
        events.push(event);
        notify();
      }
      ending = {};
    } catch (error) {
      ending = { error };
    }
    notify();
  })();

  function wait(what: string, holds: () => boolean): Promise<readonly T[]> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        watchers.delete(watch);
        settle();
      };
      const fail = (message: string) =>
        finish(() =>
          reject(new Error(`${message}; seen: ${events.length}, at last ${JSON.stringify(events.slice(-3))}`)),
        );
      const timer = setTimeout(() => fail(`${what} did not happen in time`), DEADLINE_MS);
      const watch = () => {
        // The error is whatever the stream threw.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        if (ending && 'error' in ending) finish(() => reject(ending?.error));
        else if (holds()) finish(() => resolve(events));
        else if (ending) fail(`the stream ended before ${what}`);
      };
      watchers.add(watch);
      watch();
    });
  }

  return {
    events,
    ended: () => wait('the end', () => ending !== undefined),
    until: (condition) => wait('what was awaited', () => condition(events)),
    async leave() {
      await stream.return();
    },
  };
}
