import { buildSchema, parse } from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inTransaction, openPool, poolLimits } from '../src/db.ts';
import { ClockedPool } from '../src/clocked-pool.ts';
import { asUnavailable } from '../src/database-failure.ts';
import { UnavailableError } from '../src/errors.ts';
import { execute } from '../src/graphql/execution/execute.ts';
import { limitWork } from '../src/graphql/work-limit.ts';
import { KeyedGate } from '../src/keyed-gate.ts';
import type { PoolLimits } from '../src/limited-pool.ts';
import { WorkClock } from '../src/work-clock.ts';
import { useDatabase } from './harness/database.ts';
import { Deferred } from './harness/deferred.ts';
import { limitedPoolOf, useServer } from './harness/server.ts';

const database = useDatabase();

function poolOf(limits: Partial<PoolLimits> = {}) {
  const pool = openPool(database.url, { ...poolLimits.requests, size: 1, ...limits }, () => undefined);
  onTestFinished(() => pool.end());
  return pool;
}

/** What a promise was rejected with. */
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe('a statement', () => {
  test('that runs for longer than it may is ended, and its connection serves the next', async () => {
    const pool = poolOf({ statementMs: 100 });
    expect(asUnavailable(await failureOf(pool.query('SELECT pg_sleep(5)')))).toBeInstanceOf(UnavailableError);
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('that waits for a lock for longer than it may is ended', async () => {
    const pool = poolOf({ size: 2, lockMs: 50 });
    const lock = "SELECT pg_advisory_xact_lock(hashtext('bounded'))";
    const failure = await inTransaction(pool, async (db) => {
      await db.query(lock);
      return failureOf(inTransaction(pool, (other) => other.query(lock)));
    });
    expect(asUnavailable(failure)).toBeInstanceOf(UnavailableError);
  });

  test('may take longer where much is written at once', async () => {
    const pool = poolOf({ statementMs: 100 });
    const long = inTransaction(pool, (db) => db.query('SELECT pg_sleep(0.3)'), { statementMs: 5000 });
    await expect(long).resolves.toBeDefined();
    expect(asUnavailable(await failureOf(pool.query('SELECT pg_sleep(0.3)')))).toBeInstanceOf(UnavailableError);
  });

  test('whose answer came while this process stood still is answered', async () => {
    const pool = poolOf({ statementMs: 100 });
    await pool.query('SELECT');
    const answer = pool.query('SELECT 1 AS one FROM pg_sleep(0.05)');
    await new Promise(setImmediate);
    // For longer than a connection may be silent.
    for (const until = performance.now() + 1500; performance.now() < until;);
    expect((await answer).rows).toEqual([{ one: 1 }]);
  });

  test('that is wrong is no passing state of the database', async () => {
    expect(asUnavailable(await failureOf(poolOf().query('SELECT nothing')))).toBeNull();
  });

  test('for which no connection comes free is refused, and was not begun', async () => {
    const pool = poolOf({ waitMs: 1000 });
    const client = await pool.connect();
    expect(await failureOf(pool.query('SELECT'))).toMatchObject({ name: 'UnavailableError', retryAfter: 1 });
    client.release();
    await pool.query('SELECT');
  });
});

describe('an operation', () => {
  test('that has had its time is ended with its statement, and gets no more', async () => {
    const clock = new WorkClock(100);
    const pool = poolOf();
    const own = new ClockedPool(pool, clock);
    const failures: unknown[] = [];
    const result = await limitWork(clock, async () => {
      failures.push(await failureOf(inTransaction(own, (client) => client.query('SELECT pg_sleep(4)'))));
      failures.push(await failureOf(own.connect()));
      failures.push(await failureOf(own.query('SELECT')));
      return { data: {} };
    });
    expect(result).toEqual({ data: {} });
    expect(failures).toEqual([
      expect.any(UnavailableError),
      expect.any(UnavailableError),
      expect.any(UnavailableError),
    ]);
    await pool.query('SELECT');
  });

  test('that has had its time begins no more fields', async () => {
    const clock = new WorkClock(20);
    const begun: string[] = [];
    const rootValue = {
      first: async () => {
        begun.push('first');
        await new Promise<void>((resolve) => clock.onExpiry.add(resolve));
        return 'done';
      },
      second: () => begun.push('second'),
    };
    const schema = buildSchema('type Query { first: String } type Mutation { first: String second: String }');
    const document = parse('mutation { first second }');
    const result = await limitWork(clock, () => execute({ schema, document, rootValue, contextValue: { clock } }));
    expect(result).toMatchObject({ data: { first: 'done', second: null }, errors: [{ path: ['second'] }] });
    expect(begun).toEqual(['first']);
  });

  test('that does not heed the end of its time is answered for', async () => {
    const result = await limitWork(new WorkClock(20), () => new Promise<{ data: object }>(() => undefined));
    expect(result).toMatchObject({ errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 5 } }] });
  });

  test('that begins a subscription after that has it ended again', async () => {
    const ready = new Deferred();
    const ended = new Deferred();
    const late = {
      [Symbol.asyncIterator]: () => late,
      next: () => Promise.resolve({ done: true, value: undefined }),
      return: () => {
        ended.resolve();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
    const result = await limitWork(new WorkClock(20), async () => {
      await ready.promise;
      return late;
    });
    expect(result).toMatchObject({ errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }] });
    ready.resolve();
    await ended.promise;
  });

  test('may wait for a reply for longer than it may work', async () => {
    const clock = new WorkClock(300);
    const own = new ClockedPool(poolOf(), clock);
    const result = await limitWork(clock, async () => {
      await clock.apart(() => own.query('SELECT pg_sleep(0.5)'));
      await own.query('SELECT');
      return { data: {} };
    });
    expect(result).toEqual({ data: {} });
  });
});

describe('a gate', () => {
  const limits = { atOnce: 2, waiting: 2, waitMs: 10_000, refusal: 'Too many.' };

  test('lets so many of one key in, has some wait in turn, and refuses the others', async () => {
    const gate = new KeyedGate(limits);
    const may = new Deferred();
    const begun: number[] = [];
    const work = (n: number) => async () => {
      begun.push(n);
      await may.promise;
    };
    const all = [0, 1, 2, 3, 4].map((n) => gate.run('key', work(n)));
    expect(await failureOf(all[4] ?? Promise.resolve())).toMatchObject({ message: 'Too many.', retryAfter: 1 });
    expect(begun).toEqual([0, 1]);
    await gate.run('other', () => Promise.resolve());
    may.resolve();
    await Promise.all(all.slice(0, 4));
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  test('lets the next in when one fails, and refuses who has waited for too long', async () => {
    const gate = new KeyedGate({ ...limits, atOnce: 1, waitMs: 20 });
    const may = new Deferred();
    const first = gate.run('key', () => may.promise);
    expect(await failureOf(gate.run('key', () => Promise.resolve()))).toMatchObject({ message: 'Too many.' });
    may.resolve();
    await first;
    await expect(gate.run('key', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(await gate.run('key', () => Promise.resolve('in'))).toBe('in');
  });
});

describe('a server whose connections are all taken', () => {
  const server = useServer({ config: { databasePoolSize: 1 } });

  test('refuses with SERVICE_UNAVAILABLE, 503 and Retry-After, and says that it is not ready', async () => {
    const client = await server.services.pool.connect();
    // Else each waits for as long as a request may.
    limitedPoolOf(server).options.connectionTimeoutMillis = 500;
    const [answer, ready] = await Promise.all([
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` },
        body: JSON.stringify({ query: '{ viewer { __typename } }' }),
      }),
      fetch(`${server.url}/ready`),
    ]);
    client.release();
    expect(answer.status).toBe(503);
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(await answer.json()).toMatchObject({
      errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }],
    });
    expect(ready.status).toBe(503);
  });
});
