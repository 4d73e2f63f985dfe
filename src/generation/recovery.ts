import type pg from 'pg';
import type { ReplyRunner } from '../conversations/reply-runner.ts';
import { settleReply } from '../conversations/log/settle.ts';
import { inTransaction } from '../db.ts';
import type { Bus } from '../bus/bus.ts';
import type { Logger } from '../logger.ts';
import type { Lease } from './lease.ts';

const detail = 'The server that generated this reply stopped working. The text so far is kept; send again to go on.';

/** Settles the replies of servers whose lease has run out, each once, however many servers notice. */
export class Recovery {
  private readonly pool: pg.Pool;
  private readonly bus: Bus;
  private readonly lease: Lease;
  private readonly runner: Pick<ReplyRunner, 'start'>;
  private readonly logger: Logger;
  private timer: NodeJS.Timeout | null = null;
  private sweeping: Promise<void> | null = null;

  constructor(options: { pool: pg.Pool; bus: Bus; lease: Lease; runner: Pick<ReplyRunner, 'start'>; logger: Logger }) {
    this.pool = options.pool;
    this.bus = options.bus;
    this.lease = options.lease;
    this.runner = options.runner;
    this.logger = options.logger;
  }

  start(): void {
    this.timer = setInterval(
      () => {
        if (this.lease.isSteady()) void this.sweepQuietly();
      },
      (this.lease.seconds * 1000) / 4,
    );
  }

  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.sweeping;
  }

  /** Settles every reply without a living owner; returns how many. */
  async sweep(): Promise<number> {
    let count = 0;
    while (await this.settleOne()) count += 1;
    // Only leases long past: a row that has just run out may belong to a server about to renew it.
    await this.pool.query({
      text: `DELETE FROM server WHERE expires_at < clock_timestamp() - make_interval(secs => $1)
        AND NOT EXISTS (SELECT FROM conversation WHERE generating_server_id = server.id)`,
      values: [this.lease.seconds],
    });
    return count;
  }

  /** Starts replies that were claimed for this server when the answer to that claim was lost: nobody else would. */
  async adopt(): Promise<void> {
    const { serverId } = this.lease;
    const { rows } = await this.pool.query<{ conversationId: string; replyId: string }>({
      text: `SELECT id AS "conversationId", generating_message_id AS "replyId" FROM conversation
        WHERE generating_server_id = $1 AND NOT EXISTS (SELECT FROM fragment WHERE message_id = generating_message_id)`,
      values: [serverId],
    });
    // What was lost with a lease is for others to settle.
    if (!this.lease.isHeld() || serverId !== this.lease.serverId) return;
    for (const reply of rows) this.runner.start(reply);
  }

  private sweepQuietly(): Promise<void> {
    this.sweeping ??= this.adopt()
      .then(() => this.sweep())
      .then(
        (count) => {
          if (count > 0) this.logger.info({ count }, 'settled the replies of a server that stopped working');
        },
        (error: unknown) => this.logger.warn({ err: error }, 'could not look for replies without an owner'),
      )
      .finally(() => {
        this.sweeping = null;
      });
    return this.sweeping;
  }

  private async settleOne(): Promise<boolean> {
    const settled = await inTransaction(this.pool, async (db) => {
      const { rows } = await db.query<{ conversationId: string; replyId: string; agentId: string }>({
        text: `SELECT id AS "conversationId", generating_message_id AS "replyId", agent_id AS "agentId" FROM conversation
          WHERE generating_server_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM server WHERE server.id = generating_server_id AND expires_at >= clock_timestamp())
          LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`,
      });
      const orphan = rows[0];
      if (!orphan) return null;
      const actor = { kind: 'SYSTEM', displayName: 'Recovery' } as const;
      const version = await settleReply(db, { ...orphan, actor }, { status: 'ERROR', errorDetail: detail });
      return version === null ? null : { ...orphan, version };
    });
    if (!settled) return false;
    const { conversationId, replyId, version } = settled;
    this.bus.publish({ kind: 'log', conversationId, version, settled: replyId });
    return true;
  }
}
