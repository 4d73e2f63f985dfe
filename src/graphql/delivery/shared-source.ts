import type { GraphQLContext } from '../context.ts';

/** Events that are the same objects for all subscribers who see the same, so that each is executed once for them. */
export class SharedSource<T extends object> implements AsyncIterable<T> {
  readonly context: GraphQLContext;
  private readonly events: AsyncIterableIterator<T>;

  constructor(context: GraphQLContext, events: AsyncIterableIterator<T>) {
    this.context = context;
    this.events = events;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.events;
  }
}
