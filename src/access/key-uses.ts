import type { Queryable } from '../db.ts';
import type { Logger } from '../logger.ts';

/** How often uses are written, in milliseconds. */
const WRITE_MS = 1000;

/** Records when API keys were last used. Collected in memory and written together, so that no request waits for a key's row. */
export class KeyUses {
  private readonly db: Queryable;
  private readonly logger: Logger;
  private readonly used = new Set<string>();
  private readonly timer: NodeJS.Timeout;
  private writing: Promise<void> | undefined;

  constructor(options: { db: Queryable; logger: Logger }) {
    this.db = options.db;
    this.logger = options.logger;
    this.timer = setInterval(() => void this.write(), WRITE_MS);
  }

  /** Records that a key was used just now. */
  note(keyId: string): void {
    this.used.add(keyId);
  }

  /** Writes what has not been written yet. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.writing;
    await this.write();
  }

  private async write(): Promise<void> {
    if (this.writing || this.used.size === 0) return;
    const ids = [...this.used];
    this.used.clear();
    this.writing = this.db
      .query({ name: 'write-key-uses', text: writeUses, values: [ids] })
      .then(
        () => undefined,
        // The time is exact only to the minute, so the next use may write it.
        (error: unknown) => this.logger.warn({ err: error }, 'could not write when API keys were last used'),
      )
      .finally(() => {
        this.writing = undefined;
      });
    await this.writing;
  }
}

/** Skips locked rows. They are updated when the key is used again. */
const writeUses = /* sql */ `
UPDATE api_key SET last_used_at = now() FROM (
  SELECT id FROM api_key
  WHERE id = ANY($1) AND coalesce(last_used_at, '-infinity') < now() - interval '1 minute'
  ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
) AS due
WHERE api_key.id = due.id`;
