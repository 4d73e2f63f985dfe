import type { DeliveredEvent } from '../../conversations/schema/event-rows.ts';
import type { EventStream } from '../../conversations/stream/stream.ts';
import type { GraphQLContext } from '../context.ts';

/** The events that a subscription has asked for, with what is needed to deliver them together with those of others. */
export class LiveSource implements AsyncIterable<DeliveredEvent> {
  readonly context: GraphQLContext;
  readonly stream: EventStream;
  /** Must be called once, however the subscription ends. */
  readonly release: () => void;

  constructor(context: GraphQLContext, stream: EventStream, release: () => void) {
    this.context = context;
    this.stream = stream;
    this.release = release;
  }

  /** Only there because GraphQL asks for it: `subscribe` delivers the events without iterating. */
  [Symbol.asyncIterator](): AsyncIterator<DeliveredEvent> {
    throw new Error('These events are delivered, not iterated.');
  }
}
