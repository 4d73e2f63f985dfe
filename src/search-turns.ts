import type pg from 'pg';
import { inTransaction } from './db.ts';
import { UnavailableError } from './errors.ts';
import { errorCode } from './postgres/error-code.ts';
import { Semaphore } from './semaphore.ts';

/** Searches that run at the same time on one server. The other connections stay free for everything else. */
const AT_ONCE = 2;
/** Searches of one organization that may run or wait on one server. */
const OF_ONE_ORGANIZATION = 4;
/** Searches that may wait on one server. */
const WAITING = 20;

/** Runs searches whose time depends on how much there is to search. They never use more than their share of the pool. */
export class SearchTurns {
  private readonly pool: pg.Pool;
  private readonly statementMs: number;
  private readonly turns = new Semaphore(AT_ONCE);
  private readonly present = new Map<string, number>();

  /** `statementMs` is how long one statement of a search may take, in milliseconds. */
  constructor(pool: pg.Pool, statementMs = 3000) {
    this.pool = pool;
    this.statementMs = statementMs;
  }

  /**
   * Runs a search of an organization, by row id, in a transaction whose statements have a time limit.
   * @throws {UnavailableError} if too many searches wait, or this one takes too long.
   */
  async run<T>(organizationId: string, search: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const present = this.present.get(organizationId) ?? 0;
    if (present >= OF_ONE_ORGANIZATION || this.turns.queued >= WAITING)
      throw new UnavailableError('Too many searches run. Try again soon.', 1);
    this.present.set(organizationId, present + 1);
    try {
      return await this.turns.run(() =>
        inTransaction(this.pool, async (client) => {
          await client.query(`SET LOCAL statement_timeout = ${this.statementMs}`);
          return search(client);
        }),
      );
    } catch (error) {
      if (errorCode(error) !== QUERY_CANCELED) throw error;
      throw new UnavailableError('The search took too long. Look for rarer words, or narrow it.', 5, { cause: error });
    } finally {
      const left = (this.present.get(organizationId) ?? 1) - 1;
      if (left > 0) this.present.set(organizationId, left);
      else this.present.delete(organizationId);
    }
  }
}

/** PostgreSQL's error code for a statement that took too long. */
const QUERY_CANCELED = '57014';
