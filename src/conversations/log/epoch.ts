import type { Pool } from '../../db.ts';
import type { Logger } from '../../logger.ts';

/**
 * The epoch of the log: which history of the database it belongs to. It increases with each failover and each move to another cluster, so
 * that a row that was lost and written again differs from the one that a client has seen. Each event carries it.
 */
export class LogEpoch {
  /** The epoch as known to this server. It may lag for a moment; a cursor made then names an earlier epoch and is checked later. */
  current = 0;
  private readonly pool: Pool;
  private readonly logger: Logger;
  private reading: Promise<void> | null = null;

  constructor(pool: Pool, logger: Logger) {
    this.pool = pool;
    this.logger = logger;
  }

  /** Starts a new epoch if the database has moved to another cluster, then reads the current one. */
  async start(): Promise<void> {
    await this.pool.query(
      `WITH here AS (SELECT system_identifier::text AS system FROM pg_control_system())
      UPDATE log_epoch SET system_identifier = here.system,
        base = greatest(base, (SELECT coalesce(max(epoch), 0) FROM event WHERE epoch > 0))
      FROM here WHERE system_identifier <> here.system`,
    );
    await this.read();
  }

  /** Reads the epoch again. Rejects if the database does not answer. */
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

  /** Like `read`, but logs a failure and keeps the known epoch. */
  readQuietly(): void {
    this.read().catch((error: unknown) => this.logger.debug({ err: error }, 'could not read the epoch of the log'));
  }
}

async function readEpoch(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ epoch: number }>({
    name: 'read-epoch',
    text: 'SELECT current_epoch() AS epoch',
  });
  return rows[0]?.epoch ?? 0;
}

/** The epoch of a conversation's event. Null if there is no event with this version. */
export async function readEpochOf(pool: Pool, conversationId: string, version: number): Promise<number | null> {
  const { rows } = await pool.query<{ epoch: number }>({
    name: 'read-epoch-of',
    text: 'SELECT epoch FROM event WHERE conversation_id = $1 AND version = $2',
    values: [conversationId, version],
  });
  return rows[0]?.epoch ?? null;
}

/** The database has lost its last changes, some of which a follower has already received. */
export class LogWentBackError extends Error {
  override name = 'LogWentBackError';

  constructor() {
    super(
      'The database has lost the last changes of this conversation. Start over: read it again, and follow it from there.',
    );
  }
}
