import { createSourceEventStream, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { execute } from '../execution/execute.ts';
import type { Groups } from './groups.ts';
import { LiveSource } from './live-source.ts';
import { SharedSource } from './shared-source.ts';
import { Subscriber } from './subscriber.ts';

/** Subscribes. The results of what happens in a conversation go to the wire that the context names; only their end is iterated. */
export async function subscribe(
  groups: Groups,
  args: ExecutionArgs,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  if (source instanceof SharedSource) return executed(source, groups.shared(source.context, args));
  if (!(source instanceof LiveSource)) return executed(source, (event) => execute({ ...args, rootValue: event }));
  const { schema, document, operationName, variableValues } = args;
  return new Subscriber(groups, source, { schema, document, operationName, variableValues });
}

/** The result of each event. Unlike a generator, `return` ends it at once, even while it waits. */
function executed<T>(
  source: AsyncIterable<T>,
  resultOf: (event: T) => ExecutionResult | Promise<ExecutionResult>,
): AsyncIterableIterator<ExecutionResult> {
  const iterator = source[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const event = await iterator.next();
      if (event.done) return { done: true, value: undefined };
      return { done: false, value: await resultOf(event.value) };
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}
