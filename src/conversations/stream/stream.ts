import type { Feed } from './feed.ts';
import { BadCursorError, follow, locate, type ReaderState } from './event-order.ts';
import { TextReader } from './reply-reader.ts';
import type { StreamEvent } from './stream-event.ts';
import { decodeCursor, encodeCursor, type StreamPosition } from './cursor.ts';
import { type LogEvent, readEvents } from '../log/read.ts';
import type pg from 'pg';
import type { FeedRegistry } from './feed-registry.ts';

export interface StreamServices {
  pool: pg.Pool;
  feedRegistry: FeedRegistry;
}

/**
 * Events of a conversation after the cursor. Without a cursor, from now on, preceded by the running reply so far. Throws
 * `BadCursorError` before the first event.
 */
export async function conversationStream(
  services: StreamServices,
  feed: Feed,
  options: { after: string | null; fragments: boolean },
): Promise<AsyncIterableIterator<StreamEvent>> {
  if (options.after !== null) {
    const place = await locate(feed, positionOf(feed, options.after));
    return cancellable((signal) => follow(feed, place, signal, options.fragments));
  }
  const { version, running } = feed;
  const [event] = running
    ? await readEvents(services.pool, feed.conversationId, running.version - 1, running.version, 1)
    : [];
  // Only a deletion removes an event, and this server may not have noticed it yet.
  if (running && !event) await feed.refresh();
  if (!running || !event) {
    const place = { version: feed.deleted ? feed.version - 1 : version, text: null };
    return cancellable((signal) => follow(feed, place, signal, options.fragments));
  }
  return cancellable(async function* (signal) {
    const text = new TextReader(running.messageId, running.version);
    const cursor = encodeCursor(feed.conversationId, { epoch: feed.epoch, version, running: text.place() });
    yield { kind: 'log', conversationId: feed.conversationId, cursor, event };
    yield* follow(feed, { version, text }, signal, options.fragments);
  });
}

/** Events of one reply, from its beginning or the cursor to its end. Throws `BadCursorError` before the first event. */
export async function replyStream(
  feed: Feed,
  reply: { id: string; createdVersion: number },
  after: string | null,
): Promise<AsyncIterableIterator<StreamEvent>> {
  const beginning: ReaderState = { version: reply.createdVersion - 1, text: null };
  const given = after === null ? beginning : await locate(feed, positionOf(feed, after));
  // With a cursor from before the reply, the events in between can be skipped.
  const start = given.version < reply.createdVersion ? beginning : given;
  return cancellable(async function* (signal) {
    // A cursor from after the reply: nothing is left to send.
    if (start !== beginning && start.text?.messageId !== reply.id) return;
    for await (const event of follow(feed, start, signal)) {
      const messageId = event.kind === 'log' ? event.event.messageId : event.fragment.messageId;
      const deleted = event.kind === 'log' && event.event.type === 'ConversationDeleted';
      const about = messageId === reply.id && (event.kind !== 'log' || isOfReply(event.event));
      if (about || deleted) yield event;
      if (deleted || (about && event.kind === 'log' && event.event.type === 'MessageCompleted')) return;
    }
  });
}

function isOfReply(event: LogEvent): boolean {
  return event.type === 'MessageCreated' || event.type === 'MessageCompleted';
}

function positionOf(feed: Feed, cursor: string): StreamPosition {
  const position = decodeCursor(feed.conversationId, cursor);
  if (!position) throw new BadCursorError('The cursor is malformed or belongs to another conversation.');
  return position;
}

/** A generator that `return` ends at once, even while it waits. */
export function cancellable<T>(
  generate: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
): AsyncIterableIterator<T> {
  const abort = new AbortController();
  const generator = generate(abort.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => generator.next(),
    return: () => {
      abort.abort();
      return generator.return();
    },
  };
}
