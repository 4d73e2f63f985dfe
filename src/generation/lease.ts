import type pg from 'pg';
import type { NewId } from '../ids.ts';
import type { Logger } from '../logger.ts';

/**
 * This server's claim to be alive: one row, renewed every third of the lease by the database's clock. Replies name the server
 * that generates them, and any server settles the replies of one whose lease has run out.
 */
export class Lease {
  readonly seconds: number;
  private readonly pool: pg.Pool;
  private readonly newId: NewId;
  private readonly logger: Logger;
  private readonly now: () => number;
  private readonly onLost: () => void;
  private id: string;
  private renewedAt = -Infinity;
  private steadySince: number | null = null;
  private timer: NodeJS.Timeout | null = null;
  private renewing: Promise<void> | null = null;

  /** `onLost` is called when others have declared this server dead; its replies are no longer its own. `now` is monotonic, in ms. */
  constructor(options: {
    pool: pg.Pool;
    seconds: number;
    newId: NewId;
    logger: Logger;
    onLost: () => void;
    now?: () => number;
  }) {
    this.pool = options.pool;
    this.seconds = options.seconds;
    this.newId = options.newId;
    this.logger = options.logger;
    this.onLost = options.onLost;
    this.now = options.now ?? (() => performance.now());
    this.id = this.newId();
  }

  /** Changes when the lease was lost and taken anew. */
  get serverId(): string {
    return this.id;
  }

  /** False once others may think this server dead: it must not publish any more. */
  isHeld(): boolean {
    return this.now() < this.renewedAt + this.seconds * 1000;
  }

  /**
   * Whether this server has had the database for a whole lease. Before that, another server's stale lease may only mean that
   * the database was away from both.
   */
  isSteady(): boolean {
    return this.steadySince !== null && this.now() >= this.steadySince + this.seconds * 1000;
  }

  async start(): Promise<void> {
    await this.register();
    this.timer = setInterval(() => void this.renew(), (this.seconds * 1000) / 3);
  }

  /** Extends the lease; never throws. */
  renew(): Promise<void> {
    this.renewing ??= this.tryRenew().finally(() => {
      this.renewing = null;
    });
    return this.renewing;
  }

  /** Gives the lease back, so that nobody has to wait for it to run out. */
  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.renewing;
    await this.pool.query('DELETE FROM server WHERE id = $1', [this.id]);
  }

  private async tryRenew(): Promise<void> {
    const asked = this.now();
    try {
      const { rowCount } = await this.pool.query({
        name: 'renew-lease',
        text: 'UPDATE server SET expires_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1',
        values: [this.id, this.seconds],
      });
      if (rowCount === 0) {
        this.logger.warn('others have declared this server dead; its replies were settled');
        this.onLost();
        await this.register();
      } else {
        this.held(asked);
      }
    } catch (error) {
      this.steadySince = null;
      this.logger.warn({ err: error }, 'could not renew the lease');
    }
  }

  private async register(): Promise<void> {
    const asked = this.now();
    const id = this.newId();
    await this.pool.query(
      'INSERT INTO server (id, expires_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))',
      [id, this.seconds],
    );
    this.id = id;
    this.held(asked);
  }

  private held(asked: number): void {
    this.renewedAt = asked;
    this.steadySince ??= asked;
  }
}
