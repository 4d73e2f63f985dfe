import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { StreamEvent } from '../follow.ts';
import type { ConversationServices } from '../services.ts';

/** An event with the rows that it shows, read when it is delivered: rows can be deleted, and never come back. */
export type DeliveredEvent = StreamEvent & { conversation?: Conversation; message?: Message; handoff?: Handoff };

type Services = Pick<ConversationServices, 'prisma'>;

/**
 * Null when what the event shows has been deleted meanwhile; then ConversationDeleted follows. Null also for what an end user
 * may not know of: control messages and what steers the agent.
 */
async function deliver({ prisma }: Services, event: StreamEvent, forEndUser: boolean): Promise<DeliveredEvent | null> {
  const include = { conversation: true } as const;
  if (event.kind === 'fragment-started') {
    const message = await prisma.message.findUnique({ where: { id: event.fragment.messageId } });
    return message && { ...event, message };
  }
  if (event.kind !== 'log' || event.event.type === 'ConversationDeleted') return event;
  const { type, messageId, handoffId } = event.event;
  if (forEndUser && type === 'StateChanged') return null;
  if (messageId !== null) {
    const message = await prisma.message.findUnique({ where: { id: messageId }, include });
    if (!message || (forEndUser && message.role === 'CONTROL')) return null;
    return { ...event, message, conversation: message.conversation };
  }
  if (handoffId !== null) {
    const handoff = await prisma.handoff.findUnique({ where: { id: handoffId }, include });
    return handoff && { ...event, handoff, conversation: handoff.conversation };
  }
  const conversation = await prisma.conversation.findUnique({ where: { id: event.conversationId } });
  return conversation && { ...event, conversation };
}

/** A stream as clients are given it. `release` is called once, when it ends in whatever way. */
export function delivered(
  services: Services,
  stream: AsyncIterableIterator<StreamEvent>,
  release: () => void,
  forEndUser: boolean,
): AsyncIterableIterator<DeliveredEvent> {
  async function next(): Promise<IteratorResult<DeliveredEvent>> {
    for (;;) {
      const result = await stream.next();
      if (result.done) {
        release();
        return result;
      }
      const value = await deliver(services, result.value, forEndUser);
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
