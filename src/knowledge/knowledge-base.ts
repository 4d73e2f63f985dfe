import type pg from 'pg';
import type { Pool } from '../db.ts';
import { UnavailableError } from '../errors.ts';
import { type KnowledgeFound, type KnowledgeQuery, search } from './search.ts';
import { SearchGate, type SearchLimits } from './search-gate.ts';

/** What one statement of a search may take; usual are a few milliseconds. */
const STATEMENT_MS = 1000;

/** The statement took too long, or waited too long for a lock. */
const QUERY_CANCELED = '57014';

/** All corpora of this server, with a bound on how many are searched at once. */
export class KnowledgeBase {
  private readonly pool: Pool;
  private readonly gate: SearchGate;

  constructor(pool: Pool, limits?: SearchLimits) {
    this.pool = pool;
    this.gate = new SearchGate(limits);
  }

  /** Finds the passages that answer. Throws `UnavailableError` when too many others are looked for, or the database is slow. */
  search(query: KnowledgeQuery): Promise<KnowledgeFound> {
    return this.gate.run(query.corpusId, () => this.read((db) => search(db, query)));
  }

  /** In one snapshot, with a limit on each statement. */
  private async read<T>(work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
    const db = await this.pool.connect();
    let broken = true;
    try {
      // Compiling would take longer than running.
      await db.query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_MS}; SET LOCAL jit = off`,
      );
      const result = await work(db).catch(async (error: unknown) => {
        await db.query('ROLLBACK');
        broken = false;
        throw isCanceled(error) ? new UnavailableError('The search took too long. Try again in a second.', 1) : error;
      });
      await db.query('COMMIT');
      broken = false;
      return result;
    } finally {
      db.release(broken);
    }
  }
}

function isCanceled(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === QUERY_CANCELED;
}
