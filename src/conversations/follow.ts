import { setTimeout as sleep } from 'node:timers/promises';
import { encodeCursor, type Position } from './cursor.ts';
import type { Feed, LiveFragment } from './feed.ts';
import type { FragmentRow, LogEvent } from './log.ts';
import type { GrowingText } from '../growing-text.ts';

const RETRY_MS = 500;
/** A delta is no longer than this, in UTF-16 code units: a reader that was slow is given much text in pieces. */
const DELTA_UNITS = 64 * 1024;

/** What a follower is given, each with the cursor to resume after it. */
export type StreamEvent = { conversationId: string; cursor: string } & (
  | { kind: 'log'; event: LogEvent }
  | { kind: 'fragment-started'; occurredAt: Date; fragment: FragmentRow }
  | {
      kind: 'fragment-delta';
      occurredAt: Date;
      offset: number;
      text: string;
      fragment: LiveFragment;
    }
  | { kind: 'fragment-completed'; occurredAt: Date; fragment: FragmentRow }
);

/** A cursor that names no place in this conversation. */
export class BadCursorError extends Error {
  override name = 'BadCursorError';
}

/** A place in a feed that has been found to exist. */
export interface Place {
  version: number;
  text: TextReader | null;
}

/** Finds a position in a feed. Throws `BadCursorError` when the conversation has no such place. */
export async function locate(feed: Feed, { version, open }: Position): Promise<Place> {
  if (version > feed.version) await feed.refresh();
  if (version > feed.version) throw new BadCursorError('The cursor is ahead of the conversation.');
  if (!open) return { version, text: null };
  const messageId = await feed.replyBegunAt(open.version);
  if (messageId === null) {
    // Its log may be gone, which this server need not have heard of.
    if (!feed.deleted) await feed.refresh();
    if (feed.deleted) return { version, text: null };
    throw new BadCursorError('The cursor names a reply that does not exist.');
  }
  return { version, text: new TextReader(messageId, open.version, open.fragment, open.place) };
}

/**
 * Everything after a place, in order, until the conversation is deleted, the feed closes or the signal aborts. It keeps
 * nothing but its position, so a slow reader finds all text that came meanwhile as one delta.
 */
export async function* follow(
  feed: Feed,
  start: Place,
  signal: AbortSignal,
  fragments = true,
): AsyncGenerator<StreamEvent, void, undefined> {
  let { version, text } = start;
  const stamp = () => ({
    conversationId: feed.conversationId,
    cursor: encodeCursor(feed.conversationId, { version, open: text && text.place() }),
  });
  for (;;) {
    if (signal.aborted || feed.closed) return;
    const { revision } = feed;
    const events = version === feed.version ? [] : await persistently(() => feed.eventsAfter(version), signal, []);
    for (const event of events) {
      const completes = event.type === 'MessageCompleted' && event.messageId === text?.messageId;
      if (completes && text && fragments) {
        const { messageId } = text;
        const rows = await persistently(() => feed.settledFragments(messageId), signal, []);
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
      // What lies between is gone: the conversation was deleted, and this server has not heard of it.
      await persistently(() => feed.refresh(), signal, undefined);
      if (feed.version > known) continue;
    }
    // At the feed's own version, the open reply is the feed's.
    const part = fragments && text?.messageId === feed.open?.messageId && text?.next(feed.open?.fragments ?? [], false);
    if (part) yield { ...stamp(), ...part };
    else if (feed.deleted && revision === feed.revision) return;
    else await feed.changedSince(revision, signal);
  }
}

/** Reads until it succeeds: a database that is away for a while delays a stream and does not end it. */
async function persistently<T>(read: () => T | Promise<T>, signal: AbortSignal, aborted: T): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch {
      // The feed's own readings tell of the outage.
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return aborted;
    }
  }
}

type Part = StreamEvent extends infer E
  ? E extends { kind: `fragment-${string}` }
    ? Omit<E, 'conversationId' | 'cursor'>
    : never
  : never;

/** Reads one reply's text from a place on. Text only grows until the reply settles, when it may turn out shorter. */
export class TextReader {
  readonly messageId: string;
  private readonly version: number;
  private fragment: number;
  private read: number;

  constructor(messageId: string, version: number, fragment = 0, place = 0) {
    this.messageId = messageId;
    this.version = version;
    this.fragment = fragment;
    this.read = place;
  }

  place(): NonNullable<Position['open']> {
    return { version: this.version, fragment: this.fragment, place: this.read };
  }

  /** The next thing to say of these fragments; null when all is said. */
  next(fragments: readonly LiveFragment[], settled: boolean): Part | null {
    const fragment = fragments[this.fragment];
    if (!fragment) return null;
    const occurredAt = new Date();
    if (this.read === 0) {
      this.read = 1;
      const begun = {
        ...fragment,
        status: 'IN_PROGRESS' as const,
        text: '',
        args: null,
        response: null,
        failed: false,
      };
      return { kind: 'fragment-started', occurredAt, fragment: begun };
    }
    const have = this.read - 1;
    const { length } = fragment.text;
    if (length > have || (length < have && settled)) {
      const offset = Math.min(have, length);
      const text = piece(fragment.text, offset);
      this.read = 1 + offset + text.length;
      return { kind: 'fragment-delta', occurredAt, offset, text, fragment };
    }
    if (fragment.status !== 'DONE') return null;
    this.fragment += 1;
    this.read = 0;
    return { kind: 'fragment-completed', occurredAt, fragment: { ...fragment, text: fragment.text.toString() } };
  }
}

/** The text from a place on, as far as one delta goes; never half a surrogate pair. */
function piece(text: GrowingText, from: number): string {
  if (text.length <= from + DELTA_UNITS) return text.slice(from);
  const cut = text.slice(from, from + DELTA_UNITS);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
