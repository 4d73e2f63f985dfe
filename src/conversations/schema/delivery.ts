import type { Handoff, Message } from '../../generated/prisma/client.ts';
import type { StreamEvent } from '../follow.ts';
import type { ConversationServices } from '../services.ts';

/** An event with the rows that it shows, read when it is delivered: rows can be deleted, and never come back. */
export type DeliveredEvent = StreamEvent & { message?: Message; handoff?: Handoff };

type Services = Pick<ConversationServices, 'prisma'>;

/** Null when what the event shows has been deleted meanwhile; then ConversationDeleted follows. */
async function deliver({ prisma }: Services, event: StreamEvent): Promise<DeliveredEvent | null> {
  const messageId =
    event.kind === 'log' ? event.event.messageId : event.kind === 'fragment-started' ? event.fragment.messageId : null;
  if (messageId !== null) {
    const message = await prisma.message.findUnique({ where: { id: messageId } });
    return message && { ...event, message };
  }
  const handoffId = event.kind === 'log' ? event.event.handoffId : null;
  if (handoffId !== null) {
    const handoff = await prisma.handoff.findUnique({ where: { id: handoffId } });
    return handoff && { ...event, handoff };
  }
  return event;
}

/** A stream as clients are given it. `release` is called once, when it ends in whatever way. */
export function delivered(
  services: Services,
  stream: AsyncIterableIterator<StreamEvent>,
  release: () => void,
): AsyncIterableIterator<DeliveredEvent> {
  async function next(): Promise<IteratorResult<DeliveredEvent>> {
    for (;;) {
      const result = await stream.next();
      if (result.done) {
        release();
        return result;
      }
      const value = await deliver(services, result.value);
      if (value) return { done: false, value };
    }
  }
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () =>
      next().catch((error: unknown) => {
        release();
        throw error;
      }),
    async return() {
      release();
      await stream.return?.();
      return { done: true, value: undefined };
    },
  };
}
