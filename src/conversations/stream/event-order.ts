import { retry } from '../../retry.ts';
import { encodeCursor, type StreamPosition } from './cursor.ts';
import type { Feed } from './feed.ts';
import { TextReader } from './reply-reader.ts';
import type { StreamEvent } from './stream-event.ts';

const RETRY_MS = 500;

const START_OVER = 'Start over: read the conversation again, and follow it from there.';

/** A cursor does not name a place in this conversation. */
export class BadCursorError extends Error {
  override name = 'BadCursorError';
}

/** A reader's place in a feed, known to exist. */
export interface ReaderState {
  version: number;
  text: TextReader | null;
}

/** Finds a position in a feed. Throws `BadCursorError` if the conversation has no such place. */
export async function locate(feed: Feed, { epoch, version, running }: StreamPosition): Promise<ReaderState> {
  if (version > feed.version) await feed.refresh();
  if (version > feed.version) throw new BadCursorError(`The cursor is ahead of the conversation. ${START_OVER}`);
  if (epoch !== undefined && !(await feed.remembers(version, epoch))) {
    throw new BadCursorError(`The cursor is of changes that the database has lost. ${START_OVER}`);
  }
  if (!running) return { version, text: null };
  const messageId = await feed.replyBegunAt(running.version);
  if (messageId === null) {
    // The conversation may have been deleted without this server having noticed.
    if (!feed.deleted) await feed.refresh();
    if (feed.deleted) return { version, text: null };
    throw new BadCursorError('The cursor names a reply that does not exist.');
  }
  return { version, text: new TextReader(messageId, running.version, running) };
}

/**
 * Everything after a place, in order, until the conversation is deleted, the feed closes or the signal aborts. It stores
 * only its position, so a slow reader gets all text that arrived meanwhile as one delta.
 */
export async function* follow(
  feed: Feed,
  start: ReaderState,
  signal: AbortSignal,
  fragments = true,
): AsyncGenerator<StreamEvent, void, undefined> {
  let { version, text } = start;
  const stamp = () => ({
    conversationId: feed.conversationId,
    cursor: encodeCursor(feed.conversationId, { epoch: feed.epoch, version, running: text && text.place() }),
  });
  const isOver = () => signal.aborted || feed.closed;
  for (;;) {
    if (feed.failure) throw feed.failure;
    if (isOver()) return;
    const { revision } = feed;
    const events = version === feed.version ? [] : await persistently(() => feed.eventsAfter(version), signal, []);
    for (const event of events) {
      const completes = event.type === 'MessageCompleted' && event.messageId === text?.messageId;
      if (completes && text && fragments) {
        const { messageId } = text;
        const rows = await persistently(() => feed.settledFragments(messageId), signal, []);
        // A reader that has left gets no further events.
        if (isOver()) return;
        for (let part = text.next(rows, true); part; part = text.next(rows, true)) yield { ...stamp(), ...part };
      }
      version = event.version;
      if (completes) text = null;
      if (event.beginsReply && event.messageId !== null) text = new TextReader(event.messageId, event.version);
      yield { ...stamp(), kind: 'log', event };
      if (event.type === 'ConversationDeleted') return;
    }
    if (events.length > 0) continue;
    const known = feed.version;
    if (version < known && !feed.deleted) {
      // The events in between are gone: the conversation was deleted and this server has not noticed yet.
      await persistently(() => feed.refresh(), signal, undefined);
      if (feed.version > known) continue;
    }
    // At the feed's own version, the running reply is the feed's.
    const part =
      fragments && text?.messageId === feed.running?.messageId && text?.next(feed.running?.fragments ?? [], false);
    if (part) yield { ...stamp(), ...part };
    else if (feed.deleted && revision === feed.revision) return;
    else await feed.changedSince(revision, signal);
  }
}

/** Retries a read until it succeeds: an outage of the database delays a stream and does not end it. */
async function persistently<T>(read: () => T | Promise<T>, signal: AbortSignal, aborted: T): Promise<T> {
  try {
    // The feed's own reads log the outage.
    return await retry(read, { signal, firstMs: RETRY_MS, longestMs: RETRY_MS });
  } catch (error) {
    if (signal.aborted) return aborted;
    throw error;
  }
}
