import type pg from 'pg';
import type { Logger } from '../../logger.ts';

/**
 * Which history of the database the log is in. The number rises with each failover and each move to another cluster, so
 * that a row that was lost and written anew is told from the one that a client has seen. Each event carries it.
 */
export class LogEpoch {
  /** As this server knows it, which may be a moment late: then a cursor made now names an earlier history, and is checked. */
  current = 0;
  private readonly pool: pg.Pool;
  private readonly logger: Logger;
  private reading: Promise<void> | null = null;

  constructor(pool: pg.Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Begins a new epoch when the database has been moved to another cluster, then reads the present one. */
  async start(): Promise<void> {
    await this.pool.query(
      `WITH here AS (SELECT system_identifier::text AS system FROM pg_control_system())
      UPDATE log_epoch SET system_identifier = here.system,
        base = greatest(base, (SELECT coalesce(max(epoch), 0) FROM event WHERE epoch > 0))
      FROM here WHERE system_identifier <> here.system`,
    );
    await this.read();
  }

  /** Reads it again. Rejects when the database does not answer. */
  read(): Promise<void> {
    this.reading ??= readEpoch(this.pool)
      .then((epoch) => {
        this.current = epoch;
      })
      .finally(() => {
        this.reading = null;
      });
    return this.reading;
  }

  /** As `read`, for whoever can do with what is known. */
  readQuietly(): void {
    this.read().catch((error: unknown) => this.logger.debug({ err: error }, 'could not read the epoch of the log'));
  }
}

async function readEpoch(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ epoch: number }>({
    name: 'read-epoch',
    text: 'SELECT current_epoch() AS epoch',
  });
  return rows[0]?.epoch ?? 0;
}

/** The epoch of a conversation's event; null when there is none with this version. */
export async function readEpochOf(pool: pg.Pool, conversationId: string, version: number): Promise<number | null> {
  const { rows } = await pool.query<{ epoch: number }>({
    name: 'read-epoch-of',
    text: 'SELECT epoch FROM event WHERE conversation_id = $1 AND version = $2',
    values: [conversationId, version],
  });
  return rows[0]?.epoch ?? null;
}

/** What a follower has been told is no longer in the database, which has lost its last changes. */
export class LogWentBackError extends Error {
  override name = 'LogWentBackError';

  constructor() {
    super(
      'The database has lost the last changes of this conversation. Start over: read it again, and follow it from there.',
    );
  }
}
