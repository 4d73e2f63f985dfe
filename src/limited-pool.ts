import { Socket } from 'node:net';
import pg from 'pg';
import { UnavailableError } from './errors.ts';
import type { WorkClock } from './work-clock.ts';

/** Limits of a connection pool. Times are in milliseconds. */
export interface PoolLimits {
  /** The most connections. */
  size: number;
  /** PostgreSQL cancels a statement that runs longer. */
  statementMs: number;
  /** PostgreSQL cancels a statement that waits longer for a lock. */
  lockMs: number;
  /** How long to wait for a free connection, and for a new one to be opened. */
  waitMs: number;
  /** Whether idle connections are kept, so that the pool works even if the database has no connections left. */
  keep?: boolean;
  /** Whether connections go through a transaction pooler. Statements are then not named, and PostgreSQL's limits must be set on the role. */
  pooler?: boolean | undefined;
}

/** How many may wait for a connection of one pool. */
const MAX_WAITING = 1000;

/** A connection that has been idle for this long, in milliseconds, is tested before it is used. */
const TRUSTED_MS = 2000;

/** How long the test may take, in milliseconds. */
const PROBE_MS = 1000;

/** How long after PostgreSQL's own limit a silent connection counts as dead, in milliseconds. */
const SILENCE_MARGIN_MS = 1000;

const busy = () => new UnavailableError('Too many requests wait for the database. Nothing was done. Try again.', 1);

const silent = () =>
  new UnavailableError(
    'The database did not answer in time. What was asked for may have been done or not: try again, with the same idempotency key.',
    1,
  );

/**
 * A pool in which nothing waits forever. A connection that is silent longer than a statement may run is destroyed, and
 * all connections last heard from before then are no longer trusted: whatever cut one off has probably cut off others.
 */
export class LimitedPool extends pg.Pool {
  readonly limits: PoolLimits;
  private doubtedAt = -Infinity;

  constructor(connectionString: string, limits: PoolLimits) {
    const { size, statementMs, lockMs, waitMs, keep, pooler } = limits;
    super({
      connectionString,
      max: size,
      connectionTimeoutMillis: waitMs,
      application_name: 'parley',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      Client: pooler ? UnnamingClient : WatchedClient,
      ...(keep && { idleTimeoutMillis: 0 }),
      // A pooler does not accept session settings.
      ...(!pooler && {
        statement_timeout: statementMs,
        lock_timeout: lockMs,
        idle_in_transaction_session_timeout: 2 * statementMs,
      }),
    });
    this.limits = limits;
    this.on('release', (error, client) => {
      if (client instanceof WatchedClient) this.onReleased(client, error);
    });
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const checkedOut = this.checkOut();
    if (!callback) return checkedOut;
    checkedOut.then(
      (client) => callback(undefined, client, client.release.bind(client)),
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error(String(error)), undefined, () => undefined),
    );
    return undefined;
  }

  private async checkOut(): Promise<pg.PoolClient> {
    if (this.waitingCount >= MAX_WAITING) throw busy();
    for (;;) {
      const client = await super.connect().catch((error: unknown) => {
        // The reason for those that wait until others have finished.
        throw error instanceof Error && error.message === 'timeout exceeded when trying to connect' ? busy() : error;
      });
      if (!(client instanceof WatchedClient)) return client;
      if (await this.answers(client)) {
        client.expectWithin(this.limits.statementMs + SILENCE_MARGIN_MS);
        return client;
      }
      client.abandon();
      client.release(true);
    }
  }

  private async answers(client: WatchedClient & pg.PoolClient): Promise<boolean> {
    if (client.heardAt < this.doubtedAt) return false;
    if (performance.now() - client.heardAt < TRUSTED_MS) return true;
    client.expectWithin(PROBE_MS);
    try {
      await client.query('SELECT 1');
      return true;
    } catch {
      if (client.isSilent) this.doubtedAt = performance.now();
      return false;
    }
  }

  private onReleased(client: WatchedClient, error: unknown): void {
    client.rest();
    if (client.isSilent) this.doubtedAt = performance.now();
    else if (!error) client.heardAt = performance.now();
  }
}

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/** A connection that can be given up if it no longer answers. */
export class WatchedClient extends pg.Client {
  heardAt = performance.now();
  /** Whether the connection was given up because it was silent. */
  isSilent = false;
  private readonly socket: Socket;
  private leaveClock: (() => void) | null = null;

  constructor(config?: pg.ClientConfig) {
    const socket = new Socket();
    super({ ...config, stream: () => socket });
    this.socket = socket;
    socket.on('timeout', () => {
      // When this process stood still, its timers run before what came meanwhile is read.
      const { bytesRead } = socket;
      setImmediate(() => {
        if (socket.bytesRead > bytesRead) return;
        this.isSilent = true;
        socket.destroy(silent());
      });
    });
  }

  /** Gives the connection up if nothing is sent or received for this many milliseconds. */
  expectWithin(milliseconds: number): void {
    this.socket.setTimeout(milliseconds);
  }

  /** Gives the connection up when the time of an operation is over, until it is released. */
  endWith(clock: WorkClock): void {
    const expire = () => this.socket.destroy(silent());
    clock.onExpiry.add(expire);
    this.leaveClock = () => void clock.onExpiry.delete(expire);
  }

  /** Stops watching: no answer is expected any more. */
  rest(): void {
    this.socket.setTimeout(0);
    this.leaveClock?.();
    this.leaveClock = null;
  }

  /** Closes the connection without telling the other side, which may be gone. */
  abandon(): void {
    this.socket.destroy();
  }
}

/** A connection with unnamed statements, since a transaction pooler may send the next one to a different connection. */
class UnnamingClient extends WatchedClient {
  constructor(config?: pg.ClientConfig) {
    super(config);
    const query: unknown = this.query.bind(this);
    if (typeof query !== 'function') return;
    const unnamed = (statement: unknown, ...rest: unknown[]): unknown =>
      Reflect.apply(query, this, [withoutName(statement), ...rest]);
    Object.defineProperty(this, 'query', { value: unnamed });
  }
}

function withoutName(statement: unknown): unknown {
  const isNamed = typeof statement === 'object' && statement !== null && 'name' in statement && 'text' in statement;
  return isNamed ? { ...statement, name: undefined } : statement;
}
