import type { Pool } from '../../db.ts';
import { type LogEvent, readEvents } from '../log/read.ts';
import { decodeCursor, encodeCursor, type StreamPosition } from './cursor.ts';
import { BadCursorError, follow, locate } from './event-order.ts';
import type { FeedRegistry } from './feed-registry.ts';
import type { Feed } from './feed.ts';
import type { ReaderState } from './follower.ts';
import { TextReader } from './reply-reader.ts';
import type { StreamEvent } from './stream-event.ts';

export interface StreamServices {
  pool: Pool;
  feedRegistry: FeedRegistry;
}

/** The part of a feed that a stream tells. */
export interface Selection {
  /** Selections with the same key tell the same of a feed. */
  key: string;
  /** Whether text and the beginnings and ends of fragments are told. */
  fragments: boolean;
  includes(event: StreamEvent): boolean;
  /** Whether nothing follows this event. */
  endsWith(event: StreamEvent): boolean;
}

/** What a follower has asked for. */
export interface EventStream {
  feed: Feed;
  selection: Selection;
  /** An event that comes before those after the start. */
  first: StreamEvent | null;
  /** Null if nothing is left to tell. */
  start: ReaderState | null;
}

const conversation: Omit<Selection, 'key' | 'fragments'> = { includes: () => true, endsWith: () => false };

const wholeConversation: Selection = { key: 'conversation', fragments: true, ...conversation };
const withoutFragments: Selection = { key: 'conversation without fragments', fragments: false, ...conversation };

/**
 * Events of a conversation after the cursor. Without a cursor, from now on, preceded by the running reply so far. Throws
 * `BadCursorError`.
 */
export async function conversationStream(
  services: StreamServices,
  feed: Feed,
  options: { after: string | null; fragments: boolean },
): Promise<EventStream> {
  const stream = { feed, selection: options.fragments ? wholeConversation : withoutFragments, first: null };
  if (options.after !== null) return { ...stream, start: await locate(feed, positionOf(feed, options.after)) };
  const { version, running } = feed;
  const [event] = running
    ? await readEvents(services.pool, feed.conversationId, running.version - 1, running.version, 1)
    : [];
  // Only a deletion removes an event, and this server may not have noticed it yet.
  if (running && !event) await feed.refresh();
  if (!running || !event)
    return { ...stream, start: { version: feed.deleted ? feed.version - 1 : version, text: null } };
  const text = new TextReader(running.messageId, running.version);
  const cursor = encodeCursor(feed.conversationId, { epoch: feed.epoch, version, running: text.place() });
  const { conversationId } = feed;
  return { ...stream, first: { kind: 'log', conversationId, cursor, event }, start: { version, text } };
}

/** Events of one reply, from its beginning or the cursor to its end. Throws `BadCursorError`. */
export async function replyStream(
  feed: Feed,
  reply: { id: string; createdVersion: number },
  after: string | null,
): Promise<EventStream> {
  const stream = { feed, selection: selectReply(reply.id), first: null };
  const beginning: ReaderState = { version: reply.createdVersion - 1, text: null };
  const given = after === null ? beginning : await locate(feed, positionOf(feed, after));
  // With a cursor from before the reply, the events in between can be skipped.
  if (given.version < reply.createdVersion) return { ...stream, start: beginning };
  // A cursor from after the reply: nothing is left to tell.
  return { ...stream, start: given.text?.messageId === reply.id ? given : null };
}

function selectReply(id: string): Selection {
  const isDeletion = (event: StreamEvent) => event.kind === 'log' && event.event.type === 'ConversationDeleted';
  const isAbout = (event: StreamEvent) =>
    event.kind === 'log' ? event.event.messageId === id && isOfReply(event.event) : event.fragment.messageId === id;
  return {
    key: id,
    fragments: true,
    includes: (event) => isAbout(event) || isDeletion(event),
    endsWith: (event) =>
      isDeletion(event) || (event.kind === 'log' && isAbout(event) && event.event.type === 'MessageCompleted'),
  };
}

function isOfReply(event: LogEvent): boolean {
  return event.type === 'MessageCreated' || event.type === 'MessageCompleted';
}

function positionOf(feed: Feed, cursor: string): StreamPosition {
  const position = decodeCursor(feed.conversationId, cursor);
  if (!position) throw new BadCursorError('The cursor is malformed or belongs to another conversation.');
  return position;
}

/** The events of a stream, for one reader. */
export function eventsOf({ feed, selection, first, start }: EventStream): AsyncIterableIterator<StreamEvent> {
  return cancellable(async function* (signal) {
    if (first) yield first;
    if (!start) return;
    for await (const event of follow(feed, start, signal, selection.fragments)) {
      if (selection.includes(event)) yield event;
      if (selection.endsWith(event)) return;
    }
  });
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
