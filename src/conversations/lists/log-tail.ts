import type pg from 'pg';
import type { EventType } from '../../generated/prisma/enums.ts';
import type { Logger } from '../../logger.ts';

/** How often the end of the log is looked at, in milliseconds. What happens in between is told together. */
const TICK_MS = 1000;

/** What happened to one conversation since the last look. */
export interface LogChange {
  conversationId: string;
  organizationId: string;
  types: EventType[];
}

/**
 * The end of the log of all conversations, for live lists. Rows get their `seq` before they are committed, so those up to
 * the highest seen are complete only once every transaction that was under way then has ended.
 */
export class LogTail {
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private readonly listeners = new Set<(changes: LogChange[]) => void>();
  private timer: NodeJS.Timeout | null = null;
  private starting: Promise<void> | null = null;
  private looking = false;
  private done = 0n;
  private mark: Mark | null = null;

  constructor(pool: pg.Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Tells of all that is committed from now on. Returns the function that ends it. */
  async subscribe(listener: (changes: LogChange[]) => void): Promise<() => void> {
    this.listeners.add(listener);
    try {
      await (this.starting ??= this.start());
    } catch (error) {
      this.starting = null;
      this.listeners.delete(listener);
      throw error;
    }
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.close();
    };
  }

  close(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
    this.starting = null;
  }

  /** Tells what has become complete since the last look. */
  async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      const now = await this.readMark();
      const complete = this.mark && BigInt(now.oldestRunning) > BigInt(this.mark.transaction) ? this.mark : null;
      if (complete) await this.tell(BigInt(complete.seq));
      if (complete || !this.mark) this.mark = now;
    } catch (error) {
      this.logger.warn({ err: error }, 'could not read the log for live lists; trying again');
    } finally {
      this.looking = false;
    }
  }

  private async start(): Promise<void> {
    this.mark = await this.readMark();
    this.done = BigInt(this.mark.seq);
    if (this.listeners.size > 0) this.timer ??= setInterval(() => void this.look(), TICK_MS);
  }

  private async tell(upTo: bigint): Promise<void> {
    if (upTo <= this.done) return;
    const { rows } = await this.pool.query<LogChange>({
      name: 'read-log-tail',
      text: `SELECT conversation_id AS "conversationId", organization_id AS "organizationId", array_agg(DISTINCT type::text) AS types
        FROM event WHERE seq > $1 AND seq <= $2 GROUP BY 1, 2 ORDER BY max(seq)`,
      values: [this.done, upTo],
    });
    this.done = upTo;
    for (const listener of this.listeners) listener(rows);
  }

  private async readMark(): Promise<Mark> {
    const { rows } = await this.pool.query<Mark>({
      name: 'read-log-mark',
      text: `SELECT coalesce((SELECT max(seq) FROM event), 0) AS seq, pg_current_xact_id()::text AS transaction,
        pg_snapshot_xmin(pg_current_snapshot())::text AS "oldestRunning"`,
    });
    const mark = rows[0];
    if (!mark) throw new Error('the log has no end');
    return mark;
  }
}

interface Mark {
  seq: string;
  transaction: string;
  oldestRunning: string;
}
