import { retry } from '../../retry.ts';
import type { LogEvent } from '../log/read.ts';
import { encodeCursor } from './cursor.ts';
import type { Feed } from './feed.ts';
import type { LiveFragment } from './live-fragment.ts';
import { TextReader } from './reply-reader.ts';
import type { StreamEvent } from './stream-event.ts';

const RETRY_MS = 500;

/** A reader's place in a feed, known to exist. */
export interface ReaderState {
  version: number;
  text: TextReader | null;
}

/** The next event, or why there is none: nothing is new, or nothing will follow. */
export type Step = StreamEvent | 'CAUGHT_UP' | 'OVER';

/**
 * Reads a feed from a place on, in order, until the conversation is deleted, the feed closes or `leave` is called. It stores
 * only its place, so text that arrives while nobody asks for it becomes one delta.
 */
export class Follower {
  private readonly feed: Feed;
  private readonly fragments: boolean;
  private version: number;
  private text: TextReader | null;
  /** Events that were read after the place. */
  private events: LogEvent[] = [];
  /** The text of the reply that the first of these events completes. */
  private settled: readonly LiveFragment[] | null = null;
  private leaving: AbortController | null = null;
  private over = false;

  constructor(feed: Feed, { version, text }: ReaderState, fragments = true) {
    this.feed = feed;
    this.version = version;
    this.text = text && text.clone();
    this.fragments = fragments;
  }

  /** Where it stands after the last event, as a start for others. */
  get place(): ReaderState {
    return { version: this.version, text: this.text && this.text.clone() };
  }

  /** Whether another one stands at the same place. */
  isAt(other: Follower): boolean {
    if (this.version !== other.version || !this.text || !other.text) {
      return this.version === other.version && this.text === other.text;
    }
    return this.text.isAt(other.text);
  }

  /** Ends it, even while it waits for a read. */
  leave(): void {
    this.over = true;
    this.leaving?.abort();
  }

  /** At once if nothing has to be read. Throws if the log has gone back. */
  next(): Step | Promise<Step> {
    const { feed, text } = this;
    if (feed.failure) throw feed.failure;
    if (this.over || feed.closed) return 'OVER';
    const [event] = this.events;
    if (event) return this.nextAt(event);
    if (this.version !== feed.version) return this.read();
    if (!this.fragments || !text || text.messageId !== feed.running?.messageId) return this.end();
    // At the feed's own version, the running reply is the feed's.
    const part = text.next(feed.running.fragments, false);
    return part ? this.stamped(part) : this.end();
  }

  private nextAt(event: LogEvent): Step | Promise<Step> {
    const { text } = this;
    const completes = event.type === 'MessageCompleted' && event.messageId === text?.messageId;
    if (completes && this.fragments) {
      if (!this.settled) return this.readSettled(text.messageId);
      const part = text.next(this.settled, true);
      if (part) return this.stamped(part);
      this.settled = null;
    }
    this.events.shift();
    this.version = event.version;
    if (completes) this.text = null;
    if (event.beginsReply && event.messageId !== null) this.text = new TextReader(event.messageId, event.version);
    if (event.type === 'ConversationDeleted') this.over = true;
    return this.stamped({ kind: 'log' as const, event });
  }

  private read(): Step | Promise<Step> {
    const events = this.feed.eventsAfter(this.version);
    if (events instanceof Promise) return this.readRows(events);
    this.events = [...events];
    return this.next();
  }

  private async readRows(first: Promise<LogEvent[]>): Promise<Step> {
    const { feed } = this;
    const { revision } = feed;
    let reading: Promise<LogEvent[]> | null = first;
    const again = () => {
      const events = reading ?? feed.eventsAfter(this.version);
      reading = null;
      return events;
    };
    this.events = [...(await this.persistently(again, []))];
    if (this.events.length > 0 || this.over || feed.closed) return this.next();
    if (revision !== feed.revision) return this.next();
    if (feed.deleted) return 'OVER';
    // The events in between are gone: the conversation was deleted and this server has not noticed yet.
    const known = feed.version;
    await this.persistently(() => feed.refresh(), undefined);
    return feed.version > known ? this.next() : 'CAUGHT_UP';
  }

  private async readSettled(messageId: string): Promise<Step> {
    this.settled = await this.persistently(() => this.feed.settledFragments(messageId), []);
    return this.next();
  }

  private end(): Step {
    return this.feed.deleted ? 'OVER' : 'CAUGHT_UP';
  }

  /** Says where it stands after an event. Not by spreading both, which costs more than all else of a delta. */
  private stamped<T extends object>(event: T): T & { conversationId: string; cursor: string } {
    const { feed, version, text } = this;
    const { conversationId, epoch } = feed;
    const cursor = encodeCursor(conversationId, { epoch, version, running: text && text.place() });
    return Object.assign(event, { conversationId, cursor });
  }

  /** Retries a read until it succeeds: an outage of the database delays a stream and does not end it. */
  private async persistently<T>(read: () => T | Promise<T>, aborted: T): Promise<T> {
    this.leaving ??= new AbortController();
    const { signal } = this.leaving;
    try {
      // The feed's own reads log the outage.
      return await retry(read, { signal, firstMs: RETRY_MS, longestMs: RETRY_MS });
    } catch (error) {
      if (signal.aborted) return aborted;
      throw error;
    }
  }
}
