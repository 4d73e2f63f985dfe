import type { Pool } from '../../db.ts';
import { GAP_MS, STORED_MS } from '../../text-timing.ts';
import type { Logger } from '../../logger.ts';
import type { ConversationHint } from '../../bus/hints.ts';
import type { FeedWatcher } from './feed-watcher.ts';
import { live, type LiveFragment } from './live-fragment.ts';
import { LogWentBackError, readEpochOf } from '../log/epoch.ts';
import {
  type Extent,
  type FragmentRow,
  type Head,
  type LogEvent,
  readEvents,
  readFragments,
  readHead,
} from '../log/read.ts';

const PAGE = 500;
const TAIL = 256;
const SETTLED = 8;
/** How many hints are kept until the text before them is known. */
const AHEAD = 1000;

type TextHint = Extract<ConversationHint, { kind: 'text' }>;

/** The reply that is running at the feed's version, with its text so far: what is stored, and what the bus has brought beyond that. */
export interface RunningReply {
  messageId: string;
  /** The version of its MessageCreated event. */
  version: number;
  fragments: LiveFragment[];
}

/**
 * A conversation as known to this server: the end of its log and its running reply, updated from rows whenever a
 * hint announces more or does not fit. Any number of readers use it, each at its own pace. It stores nothing for them.
 */
export class Feed {
  readonly conversationId: string;
  organizationId = '';
  /** The log is known up to this version. */
  version = 0;
  /** The epoch of the log at that version. */
  epoch = 0;
  /** Why the feed has closed, if the database has lost events that were delivered. */
  failure: LogWentBackError | null = null;
  /** Increased by every change, so that a reader can wait for the next one without missing it. */
  revision = 0;
  closed = false;
  /** Hints are ignored until the version of the log is known. */
  private started = false;
  /** Whether the conversation is deleted: only the last event of its log is left. */
  deleted = false;
  running: RunningReply | null = null;
  private readonly pool: Pool;
  private readonly logger: Logger;
  private recentEvents: LogEvent[] = [];
  private readonly settled = new Map<string, Promise<LiveFragment[]>>();
  private readonly waiting = new Set<() => void>();
  readonly watchers = new Set<FeedWatcher>();
  private reading: Promise<void> | null = null;
  private nextReading: Promise<void> | null = null;
  /** Text that lies beyond the known text. */
  private ahead: TextHint[] = [];
  private gapTimer: NodeJS.Timeout | null = null;
  private lateTimer: NodeJS.Timeout | null = null;

  constructor(pool: Pool, logger: Logger, conversationId: string) {
    this.pool = pool;
    this.logger = logger;
    this.conversationId = conversationId;
  }

  /** Starts at the end of the log. False if there was never such a conversation. */
  async start(): Promise<boolean> {
    const head: Head | null = await readHead(this.pool, this.conversationId);
    if (!head) return false;
    this.organizationId = head.organizationId;
    this.version = head.version;
    this.epoch = head.epoch;
    this.deleted = head.deleted;
    if (head.runningReplyId !== null && head.runningReplyVersion !== null) {
      this.running = { messageId: head.runningReplyId, version: head.runningReplyVersion, fragments: [] };
    }
    this.started = true;
    await this.refresh();
    this.refreshLater();
    return true;
  }

  /** Reads rows now, and once more when the text whose hints were missed has been stored. */
  refreshAfterSilence(): void {
    this.refreshQuietly();
    this.refreshLater();
  }

  onHint(hint: ConversationHint): void {
    if (!this.started) return;
    if (hint.kind === 'text') {
      if (this.takeText(hint)) return;
      if (this.ahead.length < AHEAD) this.ahead.push(hint);
      this.closeGap();
    } else if (hint.kind === 'fragments' || hint.version > this.version) {
      this.refreshQuietly();
    }
  }

  /** Takes committed rows that continue the known ones. Other rows are read when their hint arrives. */
  onBegun(rows: readonly FragmentRow[]): void {
    const { running } = this;
    if (!this.started || !running || rows.some(({ messageId }) => messageId !== running.messageId)) return;
    if ((rows[0]?.index ?? 0) > running.fragments.length) return;
    this.takeRows(running, rows);
    this.changed();
  }

  /** Reads new rows, in a read that begins after this call. At most one read runs and one waits. */
  refresh(): Promise<void> {
    this.nextReading ??= (this.reading ?? Promise.resolve()).then(() => {
      this.nextReading = null;
      const reading = this.readRows();
      this.reading = reading.catch(() => undefined);
      return reading;
    });
    return this.nextReading;
  }

  /** Like `refresh`, but logs a failure: the next hint or poll reads again. */
  refreshQuietly(): void {
    this.refresh().catch((error: unknown) => {
      this.logger.warn({ err: error, conversationId: this.conversationId }, 'could not read the log; trying again');
    });
  }

  /** Whether rows hold what is not known here. */
  isBehind(stored: Extent): boolean {
    if (stored.version !== this.version) return true;
    const known = this.running?.fragments ?? [];
    const done = known.filter(({ status }) => status === 'DONE').length;
    const units = known.reduce((sum, { text }) => sum + text.length, 0);
    return stored.fragments > known.length || stored.done > done || stored.units > units;
  }

  /** Closes the feed if the database is behind it or has lost its rows. */
  async verify(): Promise<void> {
    const { version, deleted } = this;
    if (deleted) return;
    const head = await readHead(this.pool, this.conversationId);
    if (!head || head.version < version) this.fail();
    else this.epoch = Math.max(this.epoch, await this.confirmedEpoch(head.epoch));
  }

  /** Whether the version seen in this epoch is still the same, and was not written again in a later one. */
  async remembers(version: number, epoch: number): Promise<boolean> {
    if (epoch > this.epoch) await this.verify();
    if (epoch > this.epoch) return false;
    if (epoch === this.epoch) return true;
    const written = await readEpochOf(this.pool, this.conversationId, version);
    return written === null || written <= epoch;
  }

  /** Events after a version, up to the feed's own. Recent ones come from memory. At most a page. */
  eventsAfter(version: number): LogEvent[] | Promise<LogEvent[]> {
    if (version >= this.version) return [];
    const [oldest] = this.recentEvents;
    if (oldest && oldest.version <= version + 1) return this.recentEvents.filter((event) => event.version > version);
    return readEvents(this.pool, this.conversationId, version, this.version, PAGE);
  }

  /** The reply whose MessageCreated event has this version. Null if that version is another event. */
  async replyBegunAt(version: number): Promise<string | null> {
    if (this.running?.version === version) return this.running.messageId;
    const [event] = await readEvents(this.pool, this.conversationId, version - 1, version, 1);
    return event?.beginsReply ? event.messageId : null;
  }

  /** The fragments of a reply that has ended. */
  settledFragments(messageId: string): Promise<LiveFragment[]> {
    const known = this.settled.get(messageId);
    if (known) return known;
    const reading = readFragments(this.pool, [messageId]).then((rows) => rows.map(live));
    this.settled.set(messageId, reading);
    reading.catch(() => this.settled.delete(messageId));
    const [oldest] = this.settled.keys();
    if (this.settled.size > SETTLED && oldest !== undefined) this.settled.delete(oldest);
    return reading;
  }

  /** Number of readers that have caught up. */
  get idleReaders(): number {
    let idle = this.waiting.size;
    for (const { idleReaders } of this.watchers) idle += idleReaders;
    return idle;
  }

  /** Resolves when the revision has changed, the feed has closed, or the signal aborts. */
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
    if (this.gapTimer) clearTimeout(this.gapTimer);
    if (this.lateTimer) clearTimeout(this.lateTimer);
    this.changed();
  }

  private async readRows(): Promise<void> {
    const before = this.revision;
    try {
      // Reads events before text, so that the text is never older than the events.
      for (let full = true; full;) {
        const events = await readEvents(this.pool, this.conversationId, this.version, 2 ** 31 - 1, PAGE);
        const epoch = Math.max(this.epoch, ...events.map((event) => event.epoch));
        this.epoch = await this.confirmedEpoch(epoch);
        if (this.closed) return;
        for (const event of events) this.takeEvent(event);
        full = events.length === PAGE;
      }
      if (this.running) this.takeRows(this.running, await readFragments(this.pool, [this.running.messageId]));
      const waiting = this.ahead;
      this.ahead = [];
      for (const hint of waiting) {
        if (hint.messageId === this.running?.messageId && !this.takeText(hint)) this.ahead.push(hint);
      }
    } finally {
      // Also after a failure: the reads before it may have brought something new.
      if (this.revision !== before) this.changed();
    }
  }

  /** The epoch, after checking that the last delivered event is still the same in it. */
  private async confirmedEpoch(epoch: number): Promise<number> {
    if (epoch <= this.epoch) return this.epoch;
    const written = await readEpochOf(this.pool, this.conversationId, this.version);
    if (written !== null && written > this.epoch) this.fail();
    return epoch;
  }

  private fail(): void {
    this.failure = new LogWentBackError();
    this.logger.error({ conversationId: this.conversationId }, 'the log has gone back: its followers must start over');
    this.close();
  }

  private refreshLater(): void {
    if (!this.running || this.lateTimer || this.closed) return;
    this.lateTimer = setTimeout(() => {
      this.lateTimer = null;
      this.refreshQuietly();
    }, STORED_MS);
  }

  /** Reads rows now, and again as long as some text does not join the known text. */
  private closeGap(): void {
    if (this.gapTimer || this.closed) return;
    this.refreshQuietly();
    this.gapTimer = setTimeout(() => {
      this.gapTimer = null;
      if (this.ahead.length > 0) this.closeGap();
    }, GAP_MS);
  }

  private takeEvent(event: LogEvent): void {
    this.version = event.version;
    this.deleted ||= event.type === 'ConversationDeleted';
    this.recentEvents.push(event);
    if (this.recentEvents.length > 2 * TAIL) this.recentEvents = this.recentEvents.slice(-TAIL);
    if (event.beginsReply && event.messageId !== null) {
      this.running = { messageId: event.messageId, version: event.version, fragments: [] };
    } else if (event.type === 'MessageCompleted' && event.messageId === this.running?.messageId) {
      this.running = null;
    }
    if (event.type === 'MessageErased' && event.messageId !== null) this.settled.delete(event.messageId);
    if (this.deleted) this.running = null;
    this.revision += 1;
  }

  private takeRows(open: RunningReply, rows: readonly FragmentRow[]): void {
    for (const row of rows) {
      const known = open.fragments[row.index];
      if (known && known.status === row.status && known.text.length >= row.text.length) continue;
      open.fragments[row.index] = live(row);
      this.revision += 1;
    }
  }

  /** Adds text that continues the known text. False if rows must be read instead. */
  private takeText(hint: TextHint): boolean {
    const fragment = this.running?.messageId === hint.messageId ? this.running.fragments[hint.fragment] : undefined;
    if (!fragment || hint.offset > fragment.text.length) return false;
    const fresh = hint.text.slice(fragment.text.length - hint.offset);
    if (fresh && fragment.status === 'IN_PROGRESS') {
      fragment.text.append(fresh);
      this.revision += 1;
      this.changed();
    }
    return true;
  }

  private changed(): void {
    for (const wake of [...this.waiting]) wake();
    for (const watcher of this.watchers) watcher.onChange();
  }
}
