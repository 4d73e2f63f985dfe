import type { ReplyRunner } from '../conversations/reply-runner.ts';
import { settleReply } from '../conversations/log/settle.ts';
import { inTransaction, type Pool } from '../db.ts';
import type { Bus } from '../bus/hints.ts';
import type { Logger } from '../logger.ts';
import type { Lease } from './lease.ts';
import { type ServerRow, ServerWatch } from './server-watch.ts';

const detail = 'The server that generated this reply stopped working. The text so far is kept; send again to go on.';

/** Removes servers that show no sign of life and ends their replies, each once, however many servers notice. */
export class Recovery {
  private readonly pool: Pool;
  private readonly bus: Bus;
  private readonly lease: Pick<Lease, 'seconds' | 'serverId' | 'isHeld'>;
  private readonly runner: Pick<ReplyRunner, 'start'>;
  private readonly logger: Logger;
  private readonly now: () => number;
  private readonly watch: ServerWatch;
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> | null = null;

  /** `now` is a monotonic clock, in milliseconds. */
  constructor(options: {
    pool: Pool;
    bus: Bus;
    lease: Pick<Lease, 'seconds' | 'serverId' | 'isHeld'>;
    runner: Pick<ReplyRunner, 'start'>;
    logger: Logger;
    now?: () => number;
  }) {
    this.pool = options.pool;
    this.bus = options.bus;
    this.lease = options.lease;
    this.runner = options.runner;
    this.logger = options.logger;
    this.now = options.now ?? (() => performance.now());
    this.watch = new ServerWatch(options.lease.seconds);
  }

  start(): void {
    this.timer = setInterval(() => void this.look(), (this.lease.seconds * 1000) / 4);
  }

  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.looking;
  }

  /** Checks the rows of all servers once and acts on them. Call it four times per lease. Never throws. */
  look(): Promise<void> {
    this.looking ??= this.tryLook()
      .catch((error: unknown) => {
        this.watch.forget();
        this.logger.warn({ err: error }, 'could not look for replies without an owner');
      })
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  /** Ends every reply whose server has no row. Returns how many. */
  async sweep(): Promise<number> {
    let count = 0;
    while (await this.settleOne()) count += 1;
    if (count > 0) this.logger.info({ count }, 'settled the replies of a server that stopped working');
    return count;
  }

  private async tryLook(): Promise<void> {
    const begun = this.now();
    const { rows } = await this.pool.query<ServerRow>({
      text: 'SELECT id, xmin::text AS version, lease_seconds AS "leaseSeconds" FROM server',
    });
    const dead = this.watch.look(rows, begun, this.now(), this.lease.serverId);
    if (dead.length > 0) await this.end(dead);
    if (!this.watch.isSteady()) return;
    await this.adopt();
    await this.sweep();
  }

  /** Removes dead servers. A server that has shown a sign of life since stays, because its row has changed. */
  private async end(dead: readonly ServerRow[]): Promise<void> {
    const { rowCount } = await this.pool.query({
      text: `DELETE FROM server USING unnest($1::uuid[], $2::text[]) AS dead(id, version)
        WHERE server.id = dead.id AND server.xmin::text = dead.version`,
      values: [dead.map(({ id }) => id), dead.map(({ version }) => version)],
    });
    if (rowCount) this.logger.warn({ count: rowCount }, 'servers have shown no sign of life for a lease');
  }

  /** Starts replies that were committed for this server although the commit's answer was lost. No other server would. */
  async adopt(): Promise<void> {
    const { serverId } = this.lease;
    const { rows } = await this.pool.query<{ conversationId: string; replyId: string }>({
      text: `SELECT id AS "conversationId", generating_message_id AS "replyId" FROM conversation
        WHERE generating_server_id = $1 AND NOT EXISTS (SELECT FROM fragment WHERE message_id = generating_message_id)`,
      values: [serverId],
    });
    // Replies of a lost lease are ended by other servers.
    if (!this.lease.isHeld() || serverId !== this.lease.serverId) return;
    for (const reply of rows) this.runner.start(reply);
  }

  private async settleOne(): Promise<boolean> {
    const settled = await inTransaction(this.pool, async (db) => {
      const { rows } = await db.query<{ conversationId: string; replyId: string; agentId: string }>({
        text: `SELECT id AS "conversationId", generating_message_id AS "replyId", agent_id AS "agentId" FROM conversation
          WHERE generating_server_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM server WHERE server.id = generating_server_id)
          LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`,
      });
      const orphan = rows[0];
      if (!orphan) return null;
      const actor = { kind: 'SYSTEM', displayName: 'Recovery' } as const;
      const reached = await settleReply(db, { ...orphan, actor }, { status: 'ERROR', errorDetail: detail });
      return reached && { ...orphan, ...reached };
    });
    if (!settled) return false;
    const { conversationId, organizationId, replyId, version } = settled;
    this.bus.publish({ kind: 'log', conversationId, organizationId, version, settled: replyId });
    return true;
  }
}
