/** What a follower reads. `return` leaves it at once, also while `next` waits. */
export interface Stream<T> extends AsyncIterableIterator<T, void, undefined> {
  return(): Promise<IteratorResult<T, void>>;
}

/** The stream that a generator makes which ends when the signal aborts. */
export function leavable<T>(generate: (left: AbortSignal) => AsyncGenerator<T, void, undefined>): Stream<T> {
  const abort = new AbortController();
  const generator = generate(abort.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => generator.next(),
    return() {
      abort.abort();
      return generator.return();
    },
  };
}

/** The same stream, each item turned into another. */
export function mapped<T, U>(stream: Stream<T>, turn: (item: T) => U): Stream<U> {
  const turned = ({ done, value }: IteratorResult<T, void>): IteratorResult<U, void> =>
    done ? { done, value } : { done: false, value: turn(value) };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: async () => turned(await stream.next()),
    return: async () => turned(await stream.return()),
  };
}
