import { type Audience, isShownTo, isToldOf, messagesFor } from '../../access/visibility.ts';
import { fragmentFor } from '../../access/visible-calls.ts';
import type { StreamEvent } from '../stream/stream-event.ts';
import type { Conversation, Handoff } from '../../generated/prisma/client.ts';
import type { LogEvent } from '../log/read.ts';
import { readRowsTogether } from '../log/rows-together.ts';
import { type MessageRow, readRows, type RowIds, type Rows } from '../log/rows.ts';
import { retry } from '../../retry.ts';
import type { ConversationServices } from '../services.ts';

/** An event with the rows that it shows. They are read on delivery and may be deleted later. */
export type DeliveredEvent = StreamEvent & EventRows;

interface EventRows {
  conversation?: Conversation;
  message?: MessageRow;
  handoff?: Handoff;
}

type Services = Pick<ConversationServices, 'pool' | 'prisma'>;

/** Reads the rows that the events of one stream show. */
export class EventRowsReader {
  private readonly services: Services;
  private readonly audience: Audience;
  /** The reply shown last. A running reply's row does not change, so it need not be read again for each fragment. */
  private reply: MessageRow | null = null;
  private asked: MessageRow | null = null;

  constructor(services: Services, audience: Audience) {
    this.services = services;
    this.audience = audience;
  }

  /**
   * Null when the rows have been deleted meanwhile; ConversationDeleted follows then. Null also for an event that the
   * audience may not see. At once if nothing has to be read.
   */
  read(event: StreamEvent): DeliveredEvent | null | Promise<DeliveredEvent | null> {
    // Only text has deltas.
    return event.kind === 'fragment-delta' ? event : this.readRows(event);
  }

  private async readRows(event: Exclude<StreamEvent, { kind: 'fragment-delta' }>): Promise<DeliveredEvent | null> {
    if (event.kind === 'fragment-completed') {
      const fragment = fragmentFor(this.audience, event.fragment);
      return fragment && { ...event, fragment };
    }
    if (event.kind === 'fragment-started') {
      const fragment = fragmentFor(this.audience, event.fragment);
      const message = fragment && (await this.replyOf(fragment.messageId));
      return message && { ...event, fragment, message };
    }
    if (!isToldOf(this.audience, event.event.type)) return null;
    const rows = await sharedRowsOf(this.services, this.audience, event.conversationId, event.event);
    if (!rows) return null;
    if (!rows.message) return { ...event, ...rows };
    return { ...event, ...rows, message: this.remember(rows.message, event.event) };
  }

  private async replyOf(id: string): Promise<MessageRow | null> {
    const where = { id, AND: messagesFor(this.audience) };
    if (this.reply?.id !== id) {
      this.reply = await retry(() => this.services.prisma.message.findFirst({ where }), passingFault);
    }
    return this.reply;
  }

  /** The message together with the one it answers, if this stream has shown that. Other streams share the row. */
  private remember(row: MessageRow, event: LogEvent): MessageRow {
    if (event.type === 'MessageErased') this.asked = null;
    const asked = this.asked?.id === row.inReplyToId ? this.asked : null;
    const message = asked ? { ...row, inReplyTo: asked } : row;
    if (event.beginsReply) this.reply = message;
    else if (event.type === 'MessageCreated') this.asked = message;
    return message;
  }
}

/**
 * Reads in progress, shared by all followers of one audience at the same event. They begin after the event, so their rows are
 * not older than it. Audiences share no rows, and so nothing that is cached by row either.
 */
const reading: Record<Audience, WeakMap<LogEvent, Promise<EventRows | null>>> = {
  OPERATORS: new WeakMap(),
  END_USERS: new WeakMap(),
};

function sharedRowsOf(
  services: Services,
  audience: Audience,
  conversationId: string,
  event: LogEvent,
): Promise<EventRows | null> {
  const shared = reading[audience];
  const begun = shared.get(event);
  if (begun) return begun;
  const rows = rowsOf(services, audience, conversationId, event).finally(() => shared.delete(event));
  shared.set(event, rows);
  return rows;
}

/** The rows that an event shows to an audience. Null when they are deleted or it may not see them. */
export async function rowsOf(
  { pool }: Services,
  audience: Audience,
  conversationId: string,
  event: LogEvent,
): Promise<EventRows | null> {
  if (event.type === 'ConversationDeleted') return {};
  return shownTo(audience, await retry(() => readRows(pool, idsOf(conversationId, event)), passingFault));
}

/** Rows of events that are read together hold about this many bytes at most. */
const TOGETHER_BYTES = 1024 * 1024;

/**
 * `rowsOf` for several events, in their order, in one statement. `TOO_LARGE` for those that are to be read alone, since the
 * ones before hold a lot.
 */
export async function rowsOfAll(
  { pool }: Services,
  audience: Audience,
  placed: readonly { conversationId: string; event: LogEvent }[],
): Promise<(EventRows | null | 'TOO_LARGE')[]> {
  const ids = placed.map(({ conversationId, event }) => idsOf(conversationId, event));
  const read = await retry(() => readRowsTogether(pool, ids, TOGETHER_BYTES), passingFault);
  return placed.map(({ event }, index) => {
    if (event.type === 'ConversationDeleted') return {};
    const rows = read[index] ?? null;
    return rows === 'TOO_LARGE' ? rows : shownTo(audience, rows);
  });
}

function idsOf(conversationId: string, { messageId, handoffId, beginsReply }: LogEvent): RowIds {
  return { conversationId, messageId, handoffId, bare: beginsReply };
}

function shownTo(audience: Audience, rows: Rows | null): EventRows | null {
  if (!rows) return null;
  const { conversation, message, handoff } = rows;
  if (message && !isShownTo(audience, message.role)) return null;
  return { conversation, ...(message && { message }), ...(handoff && { handoff }) };
}

/** A transient database failure does not end a stream: retries for about six seconds. */
const passingFault = { attempts: 7, longestMs: 3200 };
