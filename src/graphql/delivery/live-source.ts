import { audienceOf } from '../../access/visibility.ts';
import { type DeliveredEvent, delivered } from '../../conversations/schema/event-rows.ts';
import { type EventStream, eventsOf } from '../../conversations/stream/stream.ts';
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

  /** For this subscription alone. */
  [Symbol.asyncIterator](): AsyncIterableIterator<DeliveredEvent> {
    const { services, viewer } = this.context;
    return delivered(services, eventsOf(this.stream), this.release, audienceOf(viewer));
  }
}
