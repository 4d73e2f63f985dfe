import type { ExecutionResult } from 'graphql';

/** Passes on a stream until the signal aborts, even while the stream is silent. Then gives one last result and ends. */
export function withLastWord(
  source: AsyncIterable<ExecutionResult>,
  signal: AbortSignal,
  lastWord: () => ExecutionResult,
): AsyncIterableIterator<ExecutionResult> {
  const iterator = source[Symbol.asyncIterator]();
  let over = false;
  let wake = () => {};
  signal.addEventListener('abort', () => wake(), { once: true });
  const end = (): IteratorResult<ExecutionResult> => {
    over = true;
    // Not awaited: a stream that hangs would block its own end.
    iterator.return?.().then(undefined, () => undefined);
    return { done: false, value: lastWord() };
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      if (over) return Promise.resolve({ done: true, value: undefined });
      if (signal.aborted) return Promise.resolve(end());
      return new Promise((resolve, reject) => {
        wake = () => resolve(end());
        const settled = () => {
          wake = () => {};
        };
        iterator.next().finally(settled).then(resolve, reject);
      });
    },
    async return() {
      over = true;
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}
