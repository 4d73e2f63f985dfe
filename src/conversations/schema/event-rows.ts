import type { StreamEvent } from '../stream/stream-event.ts';
import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { LogEvent } from '../log/read.ts';
import type { ConversationServices } from '../services.ts';
import { repliesTo } from './message.ts';

/** An event with the rows that it shows, read when it is delivered: rows can be deleted, and never come back. */
export type DeliveredEvent = StreamEvent & Rows;

interface Rows {
  conversation?: Conversation;
  message?: Message;
  handoff?: Handoff;
}

type Services = Pick<ConversationServices, 'prisma'>;

/** Finds what the events of one stream show. */
class Delivery {
  private readonly services: Services;
  private readonly forEndUser: boolean;
  /** What was shown last. Messages do not change until they are complete, so they need not be read again for each fragment. */
  private reply: Message | null = null;
  private asked: Message | null = null;

  constructor(services: Services, forEndUser: boolean) {
    this.services = services;
    this.forEndUser = forEndUser;
  }

  /**
   * Null when what the event shows has been deleted meanwhile; then ConversationDeleted follows. Null also for what an end user
   * may not know of: control messages and what steers the agent.
   */
  async deliver(event: StreamEvent): Promise<DeliveredEvent | null> {
    if (event.kind === 'fragment-delta' || event.kind === 'fragment-completed') return event;
    if (event.kind === 'fragment-started') {
      const { messageId: id } = event.fragment;
      if (this.reply?.id !== id) this.reply = await this.services.prisma.message.findUnique({ where: { id } });
      return this.reply && { ...event, message: this.reply };
    }
    if (this.forEndUser && event.event.type === 'StateChanged') return null;
    const rows = await sharedRowsOf(this.services, event.conversationId, event.event);
    if (!rows || (this.forEndUser && rows.message?.role === 'CONTROL')) return null;
    if (rows.message) this.remember(rows.message, event.event);
    return { ...event, ...rows };
  }

  private remember(message: Message, event: LogEvent): void {
    if (this.asked?.id === message.inReplyToId) repliesTo(message, this.asked);
    if (event.beginsReply) this.reply = message;
    else if (event.type === 'MessageCreated') this.asked = message;
  }
}

/** What is being read for all followers that are at the same event: it is read after the event, so it is not older for any. */
const reading = new WeakMap<LogEvent, Promise<Rows | null>>();

function sharedRowsOf(services: Services, conversationId: string, event: LogEvent): Promise<Rows | null> {
  const begun = reading.get(event);
  if (begun) return begun;
  const rows = rowsOf(services, conversationId, event).finally(() => reading.delete(event));
  reading.set(event, rows);
  return rows;
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
  const delivery = new Delivery(services, forEndUser);
  async function next(): Promise<IteratorResult<DeliveredEvent>> {
    for (;;) {
      const result = await stream.next();
      if (result.done) {
        release();
        return result;
      }
      const value = await delivery.deliver(result.value);
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
