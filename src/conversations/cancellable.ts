/** A generator that `return` ends at once, also while it waits. */
export function cancellable<T>(
  generate: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncIterableIterator<T> {
  const abort = new AbortController();
  const generator = generate(abort.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => generator.next(),
    return: () => {
      abort.abort();
      return generator.return();
    },
  };
}
