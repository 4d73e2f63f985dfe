import type { StreamPosition } from './cursor.ts';
import type { Feed } from './feed.ts';
import { Follower, type ReaderState } from './follower.ts';
import { TextReader } from './reply-reader.ts';
import type { StreamEvent } from './stream-event.ts';

const START_OVER = 'Start over: read the conversation again, and follow it from there.';

/** A cursor does not name a place in this conversation. */
export class BadCursorError extends Error {
  override name = 'BadCursorError';
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

/** Everything after a place, in order, until the conversation is deleted, the feed closes or the signal aborts. */
export async function* follow(
  feed: Feed,
  start: ReaderState,
  signal: AbortSignal,
  fragments = true,
): AsyncGenerator<StreamEvent, void, undefined> {
  const follower = new Follower(feed, start, fragments);
  const leave = () => follower.leave();
  signal.addEventListener('abort', leave);
  if (signal.aborted) leave();
  try {
    for (;;) {
      const { revision } = feed;
      const step = await follower.next();
      if (step === 'OVER') return;
      if (step === 'CAUGHT_UP') await feed.changedSince(revision, signal);
      else yield step;
    }
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}
