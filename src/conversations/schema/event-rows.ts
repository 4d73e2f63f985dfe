import type { StreamEvent } from '../stream/stream-event.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Conversation, Handoff } from '../../generated/prisma/client.ts';
import { startOver } from '../../graphql/errors.ts';
import { LogWentBackError } from '../log/epoch.ts';
import type { LogEvent } from '../log/read.ts';
import { type MessageRow, readRows } from '../log/rows.ts';
import type { ConversationServices } from '../services.ts';

/** An event with the rows that it shows, read when it is delivered: rows can be deleted, and never come back. */
export type DeliveredEvent = StreamEvent & EventRows;

interface EventRows {
  conversation?: Conversation;
  message?: MessageRow;
  handoff?: Handoff;
}

type Services = Pick<ConversationServices, 'pool' | 'prisma'>;

/** Finds what the events of one stream show. */
class Delivery {
  private readonly services: Services;
  private readonly forEndUser: boolean;
  /** What was shown last. Messages do not change until they are complete, so they need not be read again for each fragment. */
  private reply: MessageRow | null = null;
  private asked: MessageRow | null = null;

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
      if (this.reply?.id !== id) {
        this.reply = await retried(() => this.services.prisma.message.findUnique({ where: { id } }));
      }
      return this.reply && { ...event, message: this.reply };
    }
    if (this.forEndUser && event.event.type === 'StateChanged') return null;
    const rows = await sharedRowsOf(this.services, event.conversationId, event.event);
    if (!rows || (this.forEndUser && rows.message?.role === 'CONTROL')) return null;
    if (!rows.message) return { ...event, ...rows };
    return { ...event, ...rows, message: this.remember(rows.message, event.event) };
  }

  /** The message with the one that it answers, which this stream was shown: others share the row and may not have been. */
  private remember(row: MessageRow, event: LogEvent): MessageRow {
    const asked = this.asked?.id === row.inReplyToId ? this.asked : null;
    const message = asked ? { ...row, inReplyTo: asked } : row;
    if (event.beginsReply) this.reply = message;
    else if (event.type === 'MessageCreated') this.asked = message;
    return message;
  }
}

/** What is being read for all followers that are at the same event: it is read after the event, so it is not older for any. */
const reading = new WeakMap<LogEvent, Promise<EventRows | null>>();

function sharedRowsOf(services: Services, conversationId: string, event: LogEvent): Promise<EventRows | null> {
  const begun = reading.get(event);
  if (begun) return begun;
  const rows = rowsOf(services, conversationId, event).finally(() => reading.delete(event));
  reading.set(event, rows);
  return rows;
}

async function rowsOf({ pool }: Services, conversationId: string, event: LogEvent): Promise<EventRows | null> {
  const { type, messageId, handoffId, beginsReply } = event;
  if (type === 'ConversationDeleted') return {};
  const rows = await retried(() => readRows(pool, { conversationId, messageId, handoffId, bare: beginsReply }));
  if (!rows) return null;
  const { conversation, message, handoff } = rows;
  return { conversation, ...(message && { message }), ...(handoff && { handoff }) };
}

/** A fault of the database that passes is not the end of a stream: tries for about six seconds. */
async function retried<T>(read: () => Promise<T>): Promise<T> {
  for (let wait = 100; ; wait *= 2) {
    try {
      return await read();
    } catch (error) {
      if (wait > 3200) throw error;
      await sleep(wait);
    }
  }
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
        throw error instanceof LogWentBackError ? startOver(error.message) : error;
      }),
    async return() {
      release();
      await stream.return?.();
      return { done: true, value: undefined };
    },
  };
}
