import type pg from 'pg';
import { inTransaction, type Pool } from './db.ts';
import { UnavailableError } from './errors.ts';
import { errorCode } from './postgres/error-code.ts';
import { Semaphore } from './semaphore.ts';

/** Searches that run at the same time on one server. The other connections stay free for everything else. */
const AT_ONCE = 2;

export interface SearchLimits {
  /** How long one statement may take, in milliseconds. */
  statementMs: number;
  /** How many of one organization may run or wait on one server. */
  ofOneOrganization: number;
  /** How many may wait on one server. */
  waiting: number;
  /** What is said when a statement took too long. */
  tooLong: string;
}

const defaultLimits: SearchLimits = {
  statementMs: 3000,
  ofOneOrganization: 4,
  waiting: 20,
  tooLong: 'The search took too long. Look for rarer words, or narrow it.',
};

/** Runs searches whose time depends on how much there is to search. They never use more than their share of the pool. */
export class SearchTurns {
  private readonly pool: Pool;
  private readonly limits: SearchLimits;
  private readonly turns = new Semaphore(AT_ONCE);
  private readonly present = new Map<string, number>();

  constructor(pool: Pool, limits: Partial<SearchLimits> = {}) {
    this.pool = pool;
    this.limits = { ...defaultLimits, ...limits };
  }

  /**
   * Runs a search of an organization, by row id, in a transaction whose statements have a time limit.
   * @throws {UnavailableError} if too many searches wait, or this one takes too long.
   */
  async run<T>(organizationId: string, search: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { statementMs, ofOneOrganization, waiting, tooLong } = this.limits;
    const present = this.present.get(organizationId) ?? 0;
    if (present >= ofOneOrganization || this.turns.queued >= waiting)
      throw new UnavailableError('Too many searches run. Try again soon.', 1);
    this.present.set(organizationId, present + 1);
    try {
      return await this.turns.run(() =>
        inTransaction(this.pool, async (client) => {
          await client.query(`SET LOCAL statement_timeout = ${statementMs}`);
          return search(client);
        }),
      );
    } catch (error) {
      if (errorCode(error) !== QUERY_CANCELED) throw error;
      throw new UnavailableError(tooLong, 5, { cause: error });
    } finally {
      const left = (this.present.get(organizationId) ?? 1) - 1;
      if (left > 0) this.present.set(organizationId, left);
      else this.present.delete(organizationId);
    }
  }
}

/** PostgreSQL's error code for a statement that took too long. */
const QUERY_CANCELED = '57014';
