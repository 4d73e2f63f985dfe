import type pg from 'pg';
import type { EventType } from '../../generated/prisma/enums.ts';
import type { Logger } from '../../logger.ts';
import { outsideOperations } from '../../work-clock.ts';
import { type EventPosition, readEnd, readTail, type TailEvent } from '../log/tail.ts';

/** How often new events of the log are read, in milliseconds. Events in between are reported together. */
const TICK_MS = 1000;

/** Events read at a time. */
const PAGE = 1000;

/** What happened to one conversation since the last read. */
export interface LogChange {
  conversationId: string;
  organizationId: string;
  types: EventType[];
  /** Whose the conversation is now. Null if nobody's, or if it is gone. */
  contactId: string | null;
}

/** Reports committed events to live lists, once a second, as long as there is a listener. */
export class LogTail {
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private readonly listeners = new Set<(changes: LogChange[]) => void>();
  private timer: NodeJS.Timeout | null = null;
  /** The place up to which events have been reported. */
  private position: Promise<EventPosition> | null = null;
  private looking: Promise<void> | null = null;

  constructor(pool: pg.Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Reports all events committed from now on. Returns a function that stops it. */
  async subscribe(listener: (changes: LogChange[]) => void): Promise<() => void> {
    this.listeners.add(listener);
    try {
      await (this.position ??= outsideOperations(() => readEnd(this.pool)));
    } catch (error) {
      this.position = null;
      this.listeners.delete(listener);
      throw error;
    }
    if (this.listeners.size > 0) this.timer ??= outsideOperations(() => setInterval(() => void this.look(), TICK_MS));
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  close(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    this.position = null;
  }

  /** Reports what has been committed since the last read. Never rejects. */
  look(): Promise<void> {
    this.looking ??= this.tellAll()
      .catch((error: unknown) => {
        this.logger.warn({ err: error }, 'could not read the log for live lists; trying again');
      })
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  private async tellAll(): Promise<void> {
    for (let more = true; more;) {
      const { position } = this;
      if (!position) return;
      const page = await readTail(this.pool, await position, PAGE);
      // Closed meanwhile, and perhaps started again from a later place.
      if (this.position !== position) return;
      this.position = Promise.resolve(page.position);
      more = page.more;
      const changes = await this.ownedBy(changesOf(page.events));
      if (changes.length > 0) for (const listener of this.listeners) listener(changes);
    }
  }

  /** In one statement for all listeners: each of them asks only for what may be its own. */
  private async ownedBy(changes: LogChange[]): Promise<LogChange[]> {
    if (changes.length === 0) return changes;
    const { rows } = await this.pool.query<{ id: string; contactId: string | null }>({
      name: 'owners-of-conversations',
      text: 'SELECT id, contact_id AS "contactId" FROM conversation WHERE id = ANY($1::uuid[])',
      values: [changes.map(({ conversationId }) => conversationId)],
    });
    const owners = new Map(rows.map(({ id, contactId }) => [id, contactId]));
    return changes.map((change) => ({ ...change, contactId: owners.get(change.conversationId) ?? null }));
  }
}

/** What happened to each conversation, ordered by its last event. */
function changesOf(events: readonly TailEvent[]): LogChange[] {
  const changes = new Map<string, LogChange>();
  for (const { conversationId, organizationId, type } of events) {
    const types = changes.get(conversationId)?.types ?? [];
    if (!types.includes(type)) types.push(type);
    changes.delete(conversationId);
    changes.set(conversationId, { conversationId, organizationId, types, contactId: null });
  }
  return [...changes.values()];
}
