import type pg from 'pg';
import type { Logger } from '../observability.ts';
import type { Hint } from '../events/bus.ts';
import { type FragmentRow, type Head, type LogEvent, readEvents, readFragments, readHead } from './log.ts';

const PAGE = 500;
const TAIL = 256;
const SETTLED = 8;

/** The reply open at the feed's version, with the text known so far: what is stored, and what the bus brought beyond it. */
export interface OpenReply {
  messageId: string;
  /** The version of its MessageCreated. */
  version: number;
  fragments: FragmentRow[];
}

/**
 * A conversation as this server knows it: the end of its log and its open reply, brought up to date from rows whenever a
 * hint says more or does not fit. Any number of readers look at it, each at its own pace; it holds nothing for them.
 */
export class Feed {
  readonly conversationId: string;
  organizationId = '';
  /** The log is known up to here. */
  version = 0;
  /** Raised by every change, so that a reader can wait for the next one without missing it. */
  revision = 0;
  closed = false;
  open: OpenReply | null = null;
  private readonly pool: pg.Pool;
  private readonly log: Logger;
  private tail: LogEvent[] = [];
  private readonly settled = new Map<string, Promise<FragmentRow[]>>();
  private readonly waiting = new Set<() => void>();
  private reading: Promise<void> | null = null;
  /** Counts the requests to read, so that one made while rows are being read is not taken for answered. */
  private wanted = 0;

  constructor(pool: pg.Pool, log: Logger, conversationId: string) {
    this.pool = pool;
    this.log = log;
    this.conversationId = conversationId;
  }

  /** Begins at the end of the log. False when there was never such a conversation. */
  async start(): Promise<boolean> {
    const head: Head | null = await readHead(this.pool, this.conversationId);
    if (!head) return false;
    this.organizationId = head.organizationId;
    this.version = head.version;
    if (head.openReplyId !== null && head.openReplyVersion !== null) {
      this.open = { messageId: head.openReplyId, version: head.openReplyVersion, fragments: [] };
    }
    await this.refresh();
    return true;
  }

  onHint(hint: Hint): void {
    if (hint.kind === 'log' ? hint.version > this.version : hint.kind === 'fragments' || !this.takeText(hint)) {
      this.refresh().catch((error: unknown) => {
        this.log.warn(
          { err: error, conversationId: this.conversationId },
          'could not read the log; the next poll will',
        );
      });
    }
  }

  /** Reads what is new from the rows. Calls meanwhile are answered by one more reading. */
  refresh(): Promise<void> {
    this.wanted += 1;
    this.reading ??= this.readRows().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  /** Events after a version, up to the feed's own; from memory when they are recent. At most a page. */
  eventsAfter(version: number): LogEvent[] | Promise<LogEvent[]> {
    const missing = this.version - version;
    if (missing <= 0) return [];
    if (missing <= this.tail.length) return this.tail.slice(-missing);
    return readEvents(this.pool, this.conversationId, version, this.version, PAGE);
  }

  /** The reply whose MessageCreated has this version; null when that version is something else. */
  async replyBegunAt(version: number): Promise<string | null> {
    if (this.open?.version === version) return this.open.messageId;
    const [event] = await readEvents(this.pool, this.conversationId, version - 1, version, 1);
    return event?.beginsReply ? event.messageId : null;
  }

  /** The fragments of a reply that has ended. */
  settledFragments(messageId: string): Promise<FragmentRow[]> {
    const known = this.settled.get(messageId);
    if (known) return known;
    const reading = readFragments(this.pool, [messageId]);
    this.settled.set(messageId, reading);
    reading.catch(() => this.settled.delete(messageId));
    const [oldest] = this.settled.keys();
    if (this.settled.size > SETTLED && oldest !== undefined) this.settled.delete(oldest);
    return reading;
  }

  /** Resolves when the revision is no longer this one, the feed has closed, or the signal aborts. */
  changedSince(revision: number, signal: AbortSignal): Promise<void> {
    if (revision !== this.revision || this.closed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  close(): void {
    this.closed = true;
    this.changed();
  }

  private async readRows(): Promise<void> {
    for (let served = -1; served !== this.wanted;) {
      served = this.wanted;
      const before = this.revision;
      // Events first, then text: text read after an event is never older than it.
      for (let full = true; full;) {
        const events = await readEvents(this.pool, this.conversationId, this.version, 2 ** 31 - 1, PAGE);
        for (const event of events) this.takeEvent(event);
        full = events.length === PAGE;
      }
      if (this.open) this.takeRows(this.open, await readFragments(this.pool, [this.open.messageId]));
      if (this.revision !== before) this.changed();
    }
  }

  private takeEvent(event: LogEvent): void {
    this.version = event.version;
    this.tail.push(event);
    if (this.tail.length > 2 * TAIL) this.tail = this.tail.slice(-TAIL);
    if (event.beginsReply && event.messageId !== null) {
      this.open = { messageId: event.messageId, version: event.version, fragments: [] };
    } else if (event.type === 'MessageCompleted' && event.messageId === this.open?.messageId) {
      this.open = null;
    }
    this.revision += 1;
  }

  private takeRows(open: OpenReply, rows: FragmentRow[]): void {
    for (const row of rows) {
      const known = open.fragments[row.index];
      if (known && known.status === row.status && known.text.length >= row.text.length) continue;
      const ahead = known && row.status === 'IN_PROGRESS' && known.text.length > row.text.length;
      open.fragments[row.index] = ahead ? { ...row, text: known.text } : row;
      this.revision += 1;
    }
  }

  /** Adds text that follows on what is known. False when rows must be read instead. */
  private takeText(hint: Extract<Hint, { kind: 'text' }>): boolean {
    const fragment = this.open?.messageId === hint.messageId ? this.open.fragments[hint.fragment] : undefined;
    if (!fragment || hint.offset > fragment.text.length) return false;
    const fresh = hint.text.slice(fragment.text.length - hint.offset);
    if (fresh && fragment.status === 'IN_PROGRESS') {
      fragment.text += fresh;
      this.revision += 1;
      this.changed();
    }
    return true;
  }

  private changed(): void {
    for (const wake of [...this.waiting]) wake();
  }
}
