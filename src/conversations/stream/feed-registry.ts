import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../../db.ts';
import type { Bus, Hint, HintListener, Membership } from '../../bus/hints.ts';
import { ofConversation } from '../../bus/topics.ts';
import type { Logger } from '../../logger.ts';
import { POLL_MS } from '../../text-timing.ts';
import { Feed } from './feed.ts';
import { type FragmentRow, readExtents } from '../log/read.ts';

interface Entry {
  feed: Feed;
  membership: Membership;
  readers: number;
  started: Promise<boolean>;
}

/** The feeds of the conversations followed on this server. All followers of a conversation share one feed. */
export class FeedRegistry implements HintListener {
  private readonly pool: Pool;
  private readonly bus: Bus;
  private readonly logger: Logger;
  private readonly entries = new Map<string, Entry>();
  private readonly unsubscribe: () => void;
  private readonly timer: NodeJS.Timeout;
  private polling = false;
  private closed = false;

  constructor(pool: Pool, bus: Bus, logger: Logger) {
    this.pool = pool;
    this.bus = bus;
    this.logger = logger;
    this.unsubscribe = bus.subscribe(this);
    this.timer = setInterval(() => void this.poll(), POLL_MS);
  }

  /** Follows a conversation until `release` is called. Null if there was never such a conversation. */
  async acquire(conversationId: string): Promise<{ feed: Feed; release: () => void } | null> {
    if (this.closed) throw new Error('The server is shutting down.');
    let entry = this.entries.get(conversationId);
    if (!entry || entry.feed.failure) {
      entry = this.open(conversationId);
    }
    const { feed } = entry;
    const held = entry;
    held.readers += 1;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      held.readers -= 1;
      if (held.readers > 0) return;
      feed.close();
      held.membership.leave();
      if (this.entries.get(conversationId) === held) this.entries.delete(conversationId);
    };
    try {
      if (await held.started) return { feed, release };
    } catch (error) {
      release();
      throw error;
    }
    release();
    return null;
  }

  /** Number of conversations followed on this server. */
  get size(): number {
    return this.entries.size;
  }

  onHint(hint: Hint): void {
    if (hint.kind === 'log' || hint.kind === 'fragments' || hint.kind === 'text') {
      this.entries.get(hint.conversationId)?.feed.onHint(hint);
    } else if (hint.kind === 'who-follows' && this.entries.has(hint.conversationId)) {
      this.tell(hint.conversationId);
    }
  }

  /** Takes fragments of the running reply that this server has just committed. */
  onBegun(conversationId: string, fragments: readonly FragmentRow[]): void {
    this.entries.get(conversationId)?.feed.onBegun(fragments);
  }

  onReconnect(): void {
    for (const [conversationId, { feed }] of this.entries) {
      this.tell(conversationId);
      feed.refreshAfterSilence();
    }
  }

  /** Waits until readers have caught up, or the timeout passes, in milliseconds. Accepts no new readers. */
  async drain(timeoutMs: number): Promise<void> {
    this.closed = true;
    const entries = [...this.entries.values()];
    await Promise.allSettled(entries.map(({ feed }) => feed.refresh()));
    const deadline = performance.now() + timeoutMs;
    while (entries.some((entry) => entry.feed.idleReaders < entry.readers) && performance.now() < deadline) {
      await sleep(5);
    }
  }

  /** Ends every reader. */
  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.unsubscribe();
    for (const { feed, membership } of this.entries.values()) {
      feed.close();
      membership.leave();
    }
    this.entries.clear();
  }

  /** Hints arrive before the rows are read, so that what is committed in between is not missed. */
  private open(conversationId: string): Entry {
    const feed = new Feed(this.pool, this.logger, conversationId);
    const membership = this.bus.join(ofConversation(conversationId));
    const started = membership.joined.then(() => {
      this.tell(conversationId);
      return feed.start();
    });
    const entry = { feed, membership, readers: 0, started };
    this.entries.set(conversationId, entry);
    return entry;
  }

  /** Has the text of a running reply sent to this server. */
  private tell(conversationId: string): void {
    this.bus.publish({ kind: 'follows', conversationId }, 'ELSEWHERE');
  }

  /** Compares what is known with what is stored, in case hints were lost unnoticed. */
  async poll(): Promise<void> {
    if (this.polling || this.entries.size === 0) return;
    this.polling = true;
    try {
      const extents = await readExtents(this.pool, [...this.entries.keys()]);
      for (const [id, { feed }] of this.entries) {
        const stored = extents.get(id);
        if (!stored || feed.isBehind(stored)) feed.refreshQuietly();
        if (!stored || stored.version < feed.version) await feed.verify();
      }
    } catch (error) {
      this.logger.warn({ err: error }, 'could not poll the followed conversations');
    } finally {
      this.polling = false;
    }
  }
}
