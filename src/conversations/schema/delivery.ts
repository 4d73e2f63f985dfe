import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { StreamEvent } from '../follow.ts';
import type { FragmentRow, LogEvent } from '../log.ts';
import type { ConversationServices } from '../services.ts';

/** An event with the rows that it shows, read when it is delivered: rows can be deleted, and never come back. */
export type DeliveredEvent = StreamEvent & Rows;

interface Rows {
  conversation?: Conversation;
  message?: Message;
  handoff?: Handoff;
}

type Services = Pick<ConversationServices, 'prisma'>;

/**
 * Null when what the event shows has been deleted meanwhile; then ConversationDeleted follows. Null also for what an end user
 * may not know of: control messages and what steers the agent.
 */
async function deliver(services: Services, event: StreamEvent, forEndUser: boolean): Promise<DeliveredEvent | null> {
  if (event.kind === 'fragment-delta' || event.kind === 'fragment-completed') return event;
  if (forEndUser && event.kind === 'log' && event.event.type === 'StateChanged') return null;
  const rows = await (event.kind === 'log'
    ? shared(event.event, () => rowsOf(services, event.conversationId, event.event))
    : shared(event.fragment, () => replyOf(services, event.fragment)));
  if (!rows || (forEndUser && rows.message?.role === 'CONTROL')) return null;
  return { ...event, ...rows };
}

/** What is being read for all followers that are at the same place: it is read after the event, so it is not older for any. */
const reading = new WeakMap<object, Promise<Rows | null>>();

function shared(said: object, read: () => Promise<Rows | null>): Promise<Rows | null> {
  const begun = reading.get(said);
  if (begun) return begun;
  const rows = read().finally(() => reading.delete(said));
  reading.set(said, rows);
  return rows;
}

async function replyOf({ prisma }: Services, { messageId }: FragmentRow): Promise<Rows | null> {
  const message = await prisma.message.findUnique({ where: { id: messageId } });
  return message && { message };
}

async function rowsOf({ prisma }: Services, conversationId: string, event: LogEvent): Promise<Rows | null> {
  const { type, messageId, handoffId } = event;
  const include = { conversation: true } as const;
  if (type === 'ConversationDeleted') return {};
  if (messageId !== null) {
    const message = await prisma.message.findUnique({ where: { id: messageId }, include });
    return message && { message, conversation: message.conversation };
  }
  if (handoffId !== null) {
    const handoff = await prisma.handoff.findUnique({ where: { id: handoffId }, include });
    return handoff && { handoff, conversation: handoff.conversation };
  }
  const conversation = await prisma.conversation.findUnique({ where: { id: conversationId } });
  return conversation && { conversation };
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
