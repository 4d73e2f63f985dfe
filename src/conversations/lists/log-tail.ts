import { LRUCache } from 'lru-cache';
import type { Pool } from '../../db.ts';
import type { Bus, Hint, HintListener } from '../../bus/hints.ts';
import { ofOrganization } from '../../bus/topics.ts';
import type { EventType } from '../../generated/prisma/enums.ts';
import type { Logger } from '../../logger.ts';
import { type EventPosition, readEnd, readTail, type TailEvent } from '../log/tail.ts';

/** How often new events of the log are read, in milliseconds. Events in between are reported together. */
const TICK_MS = 1000;

/** How long hints are collected before their conversations are read, in milliseconds. */
const HINTS_MS = 20;

/** How many hints are collected at most. The log covers the others. */
const HINTS = 1000;

/** For how many conversations it is remembered what was reported. For others, a hint and the log may both report a move. */
const REMEMBERED = 10_000;

/** Events read at a time. */
const PAGE = 1000;

/** Events that can change whether a conversation matches a filter. */
const moving: ReadonlySet<EventType> = new Set([
  'ConversationCreated',
  'ConversationDeleted',
  'ConversationEnded',
  'ConversationUpdated',
  'HandoffAccepted',
  'HandoffEnded',
  'HandoffStarted',
]);

/** The events above, for SQL. */
export const movingEvents: readonly EventType[] = [...moving];

/** What happened to one conversation since it was reported last. */
export interface LogChange {
  conversationId: string;
  organizationId: string;
  /** The version that the conversation has reached at least. */
  version: number;
  /** Whether it may match other filters than before. */
  moves: boolean;
  /** Whose the conversation is now, or was when it was deleted. Null if nobody's. */
  contactId: string | null;
}

/** Takes changes, and the place in the log up to which all have been reported then. */
export type LogListener = (changes: LogChange[], position: EventPosition | null) => void;

/**
 * Reports committed events to live lists, as long as there is a listener: once a second, from the log. What moves a conversation
 * is reported at once, by a hint from the bus, and then not again.
 */
export class LogTail implements HintListener {
  private readonly pool: Pool;
  private readonly bus: Bus;
  private readonly logger: Logger;
  private readonly listeners = new Set<LogListener>();
  private unsubscribe: (() => void) | null = null;
  private timer: NodeJS.Timeout | null = null;
  /** The place up to which events have been reported. */
  private position: Promise<EventPosition> | null = null;
  private looking: Promise<void> | null = null;
  /** The versions that hints have named and that are not reported yet. */
  private hinted = new Map<string, number>();
  private soon: NodeJS.Timeout | null = null;
  /** The versions up to which moves were reported lately, by whichever came first: a hint or the log. */
  private readonly reported = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(pool: Pool, bus: Bus, logger: Logger) {
    this.pool = pool;
    this.bus = bus;
    this.logger = logger;
  }

  /**
   * Reports all events committed from now on; those of this organization, by row id, also as soon as other servers hint at them.
   * Returns a function that stops it.
   */
  async subscribe(organizationId: string, listener: LogListener): Promise<() => void> {
    const membership = this.bus.join(ofOrganization(organizationId));
    this.listeners.add(listener);
    try {
      await membership.joined;
      await (this.position ??= readEnd(this.pool));
    } catch (error) {
      this.position = null;
      this.listeners.delete(listener);
      membership.leave();
      throw error;
    }
    if (this.listeners.size > 0) {
      this.timer ??= setInterval(() => void this.look(), TICK_MS);
      this.unsubscribe ??= this.bus.subscribe(this);
    }
    return () => {
      membership.leave();
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  close(): void {
    if (this.timer) clearInterval(this.timer);
    if (this.soon) clearTimeout(this.soon);
    this.unsubscribe?.();
    this.timer = this.soon = this.unsubscribe = this.position = null;
    this.hinted.clear();
    this.reported.clear();
  }

  onHint(hint: Hint): void {
    if (hint.kind !== 'log' || !hint.moved || this.hinted.size >= HINTS) return;
    this.hinted.set(hint.conversationId, hint.version);
    this.soon ??= setTimeout(() => void this.reportHinted(), HINTS_MS);
  }

  onReconnect(): void {
    void this.look();
  }

  /** Reports what has been committed since the last read. Never rejects. */
  look(): Promise<void> {
    this.looking ??= this.reportAll()
      .catch((error: unknown) => {
        this.logger.warn({ err: error }, 'could not read the log for live lists; trying again');
      })
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  private async reportAll(): Promise<void> {
    for (let more = true; more;) {
      const { position } = this;
      if (!position) return;
      const from = await position;
      const page = await readTail(this.pool, from, PAGE);
      const changes = await this.owned(changesOf(page.events));
      // Closed meanwhile, and perhaps started again from a later place.
      if (this.position !== position) return;
      // Only now: a page that could not be told of is read again.
      this.position = Promise.resolve(page.position);
      more = page.more;
      if (page.position.epoch !== from.epoch) this.reported.clear();
      this.report(this.withoutReported(changes), page.position);
    }
  }

  private async reportHinted(): Promise<void> {
    const { hinted } = this;
    this.hinted = new Map();
    this.soon = null;
    try {
      const rows = await this.rowsOf([...hinted.keys()]);
      const changes = rows.map((row) => ({ ...row, version: hinted.get(row.conversationId) ?? 0, moves: true }));
      this.report(this.withoutReported(changes), null);
    } catch (error) {
      this.logger.debug({ err: error }, 'could not read hinted conversations; the log will tell of them');
    }
  }

  private report(changes: LogChange[], position: EventPosition | null): void {
    for (const listener of this.listeners) listener(changes, position);
  }

  private withoutReported(changes: LogChange[]): LogChange[] {
    return changes.filter(({ conversationId, version, moves }) => {
      const isNew = version > (this.reported.get(conversationId) ?? 0);
      if (isNew && moves) this.reported.set(conversationId, version);
      return isNew;
    });
  }

  /** In one statement for all listeners: each of them asks only for what may be its own. */
  private async owned(changes: LogChange[]): Promise<LogChange[]> {
    const rows = await this.rowsOf(changes.map(({ conversationId }) => conversationId));
    const owners = new Map(rows.map(({ conversationId, contactId }) => [conversationId, contactId]));
    return changes.map((change) => ({ ...change, contactId: owners.get(change.conversationId) ?? change.contactId }));
  }

  private async rowsOf(
    ids: readonly string[],
  ): Promise<Pick<LogChange, 'conversationId' | 'organizationId' | 'contactId'>[]> {
    if (ids.length === 0) return [];
    const { rows } = await this.pool.query<Pick<LogChange, 'conversationId' | 'organizationId' | 'contactId'>>({
      name: 'owners-of-conversations',
      text: `SELECT id AS "conversationId", organization_id AS "organizationId", contact_id AS "contactId"
        FROM conversation WHERE id = ANY($1::uuid[])`,
      values: [ids],
    });
    return rows;
  }
}

/** What happened to each conversation, ordered by its last event. */
function changesOf(events: readonly TailEvent[]): LogChange[] {
  const changes = new Map<string, LogChange>();
  for (const { conversationId, organizationId, version, type, contactId } of events) {
    const moves = moving.has(type) || (changes.get(conversationId)?.moves ?? false);
    changes.delete(conversationId);
    changes.set(conversationId, { conversationId, organizationId, version, moves, contactId });
  }
  return [...changes.values()];
}
