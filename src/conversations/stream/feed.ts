import type pg from 'pg';
import { GAP_MS, STORED_MS } from '../../text-timing.ts';
import type { Logger } from '../../logger.ts';
import type { ConversationHint } from '../../bus/hints.ts';
import { GrowingText } from './growing-text.ts';
import { LogWentBackError, readEpochOf } from '../log/epoch.ts';
import { type FragmentRow, type Head, type LogEvent, readEvents, readFragments, readHead } from '../log/read.ts';

const PAGE = 500;
const TAIL = 256;
const SETTLED = 8;
/** So many hints are kept until the text before them is known. */
const AHEAD = 1000;

type TextHint = Extract<ConversationHint, { kind: 'text' }>;

/** A fragment with a text that readers look at while it grows. */
export interface LiveFragment extends Omit<FragmentRow, 'text'> {
  text: GrowingText;
}

/** The reply open at the feed's version, with the text known so far: what is stored, and what the bus brought beyond it. */
export interface RunningReply {
  messageId: string;
  /** The version of its MessageCreated. */
  version: number;
  fragments: LiveFragment[];
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
  /** What is known was so in this epoch of the log. */
  epoch = 0;
  /** Why it has closed, when the database has lost what was told. */
  failure: LogWentBackError | null = null;
  /** Raised by every change, so that a reader can wait for the next one without missing it. */
  revision = 0;
  closed = false;
  /** Hints mean something only once it is known where the log stood. */
  private started = false;
  /** Of its log only the last event is left. */
  deleted = false;
  running: RunningReply | null = null;
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private recentEvents: LogEvent[] = [];
  private readonly settled = new Map<string, Promise<LiveFragment[]>>();
  private readonly waiting = new Set<() => void>();
  private reading: Promise<void> | null = null;
  private nextReading: Promise<void> | null = null;
  /** Text that is further on than what is known. */
  private ahead: TextHint[] = [];
  private gapTimer: NodeJS.Timeout | null = null;
  private lateTimer: NodeJS.Timeout | null = null;

  constructor(pool: pg.Pool, logger: Logger, conversationId: string) {
    this.pool = pool;
    this.logger = logger;
    this.conversationId = conversationId;
  }

  /** Begins at the end of the log. False when there was never such a conversation. */
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

  /** Reads rows now, and once more when the text has been stored whose hints were missed. */
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

  /** Takes committed rows that follow on what is known; what does not is read on the hint that comes too. */
  onBegun(rows: readonly FragmentRow[]): void {
    const { running } = this;
    if (!this.started || !running || rows.some(({ messageId }) => messageId !== running.messageId)) return;
    if ((rows[0]?.index ?? 0) > running.fragments.length) return;
    this.takeRows(running, rows);
    this.changed();
  }

  /** Reads what is new from the rows, in a reading that begins after this call. One runs at a time, and one waits. */
  refresh(): Promise<void> {
    this.nextReading ??= (this.reading ?? Promise.resolve()).then(() => {
      this.nextReading = null;
      const reading = this.readRows();
      this.reading = reading.catch(() => undefined);
      return reading;
    });
    return this.nextReading;
  }

  /** As `refresh`, for whoever has no use for its failure: the next hint or poll reads again. */
  refreshQuietly(): void {
    this.refresh().catch((error: unknown) => {
      this.logger.warn({ err: error, conversationId: this.conversationId }, 'could not read the log; trying again');
    });
  }

  /** Closes the feed if the rows are behind it, or no longer there. */
  async verify(): Promise<void> {
    const { version, deleted } = this;
    if (deleted) return;
    const head = await readHead(this.pool, this.conversationId);
    if (!head || head.version < version) this.fail();
    else this.epoch = Math.max(this.epoch, await this.confirmedEpoch(head.epoch));
  }

  /** Whether the version that was seen in this epoch has not been written anew since. */
  async remembers(version: number, epoch: number): Promise<boolean> {
    if (epoch > this.epoch) await this.verify();
    if (epoch > this.epoch) return false;
    if (epoch === this.epoch) return true;
    const written = await readEpochOf(this.pool, this.conversationId, version);
    return written === null || written <= epoch;
  }

  /** Events after a version, up to the feed's own; from memory when they are recent. At most a page. */
  eventsAfter(version: number): LogEvent[] | Promise<LogEvent[]> {
    if (version >= this.version) return [];
    const [oldest] = this.recentEvents;
    if (oldest && oldest.version <= version + 1) return this.recentEvents.filter((event) => event.version > version);
    return readEvents(this.pool, this.conversationId, version, this.version, PAGE);
  }

  /** The reply whose MessageCreated has this version; null when that version is something else. */
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

  /** How many readers have been told all there is. */
  get idleReaders(): number {
    return this.waiting.size;
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
    if (this.gapTimer) clearTimeout(this.gapTimer);
    if (this.lateTimer) clearTimeout(this.lateTimer);
    this.changed();
  }

  private async readRows(): Promise<void> {
    const before = this.revision;
    try {
      // Events first, then text: text read after an event is never older than it.
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
      // Also when a later question failed: what the earlier ones gave is known now.
      if (this.revision !== before) this.changed();
    }
  }

  /** The epoch, once it is known that the last event told is still the same in it. */
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

  /** Reads rows now, and again for as long as there is text that does not join. */
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

  /** Adds text that follows on what is known. False when rows must be read instead. */
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
  }
}

function live(row: FragmentRow): LiveFragment {
  return { ...row, text: new GrowingText(row.text) };
}
