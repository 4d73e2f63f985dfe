import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runMigrations } from 'graphile-worker';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { inTransaction } from '../src/db.ts';
import { JobQueue } from '../src/jobs/queue.ts';
import { handle, lanes } from '../src/jobs/task.ts';
import { createLogger } from '../src/logger.ts';
import { createDatabase, execute, useBootstrappedDatabase } from './harness/database.ts';
import { watchJobs } from './harness/job-steps.ts';
import { STEPS_TABLE, stumble, testHandlers, wait, walk } from './harness/job-tasks.ts';

const database = useBootstrappedDatabase();
const { pool } = database;
const queue = new JobQueue(pool);
const { jobs, nothingLeft, stepsOf } = watchJobs(pool);

describe('the schema of the queue', () => {
  test('is the one that the installed graphile-worker makes', async () => {
    const own = await createDatabase();
    try {
      await runMigrations({ connectionString: own.url });
      const client = new pg.Client({ connectionString: own.url });
      await client.connect();
      const theirs = await catalog(client);
      await client.end();
      expect(await catalog(pool)).toEqual(theirs);
    } finally {
      await own.drop();
    }
  });

  test('has no row level security, which would shut out roles that do not own it', async () => {
    const sql = `SELECT relname FROM pg_class WHERE relnamespace = 'graphile_worker'::regnamespace AND relrowsecurity`;
    expect((await pool.query(sql)).rows).toEqual([]);
  });
});

/** All that servers of the queue rely on: relations with their columns, indexes, functions, and which migrations have run. */
async function catalog(db: Pick<pg.Client, 'query'>): Promise<object[]> {
  const { rows } = await db.query<{ kind: string }>(`
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
      concat_ws(' ', data_type, is_nullable, column_default, is_identity, generation_expression) AS is
      FROM information_schema.columns WHERE table_schema = 'graphile_worker'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'graphile_worker'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'graphile_worker'::regnamespace AND contype <> 'n'
    UNION ALL SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
      WHERE pronamespace = 'graphile_worker'::regnamespace
    UNION ALL SELECT 'migration', id::text, breaking::text FROM graphile_worker.migrations
    ORDER BY 1, 2, 3`);
  return rows;
}

describe('adding', () => {
  test('is part of the transaction it is done in', async () => {
    await expect(
      inTransaction(pool, async (client) => {
        await queue.add(walk, { name: 'rolled back', steps: 1 }, { key: 'rolled back' }, client);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await jobs()).toEqual([]);
  });

  test('with a key leaves one job, the last', async () => {
    const later = { key: 'once', runAt: new Date(Date.now() + 3_600_000) };
    for (const steps of [1, 2, 3]) await queue.add(walk, { name: 'once', steps }, later);
    expect(await jobs()).toMatchObject([{ key: 'once' }]);
    await queue.remove('once');
    expect(await jobs()).toEqual([]);
  });
});

describe('a server that works the queue', () => {
  const tasks = testHandlers(database.url);
  let app: App | undefined;
  beforeAll(async () => {
    await execute(database.url, STEPS_TABLE);
    const config = readConfig({ PORT: '0', DATABASE_URL: database.url, EVENTS_URL: 'memory:', GRACE_SECONDS: '0' });
    app = await startApp(config, createLogger({ level: 'silent' }), [], undefined, tasks.handlers);
  });
  afterAll(async () => {
    await app?.close();
    await tasks.end();
  });

  test('runs each job once', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `many ${n}`);
    await Promise.all(names.map((name) => queue.add(wait, { name, steps: 1 })));
    await nothingLeft();
    for (const name of names) expect(await stepsOf(name)).toMatchObject([{ number: 0 }, { number: 1 }]);
  });

  test('tries what fails again', async () => {
    await queue.add(stumble, { name: 'stumbles', steps: 2 });
    await nothingLeft();
    expect(await stepsOf('stumbles')).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
  });
});

describe('workers that cannot settle their jobs', () => {
  const own = useBootstrappedDatabase();
  const done: string[] = [];
  const handlers = lanes.map((lane) =>
    handle({ name: `test.unsettled.${lane}`, lane, read: String }, (name) => {
      done.push(name);
      return Promise.resolve();
    }),
  );

  // graphile-worker traces each worker that it gives up.
  beforeAll(() => void vi.spyOn(console, 'trace').mockReturnValue());
  afterAll(() => vi.restoreAllMocks());

  test('are replaced, and in each lane no more than one connection listens', async () => {
    await execute(
      own.url,
      `CREATE FUNCTION fail_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF OLD.attempts = 1 THEN RAISE 'not now'; END IF; RETURN OLD;
        END $$;
        CREATE TRIGGER fail_first BEFORE DELETE ON graphile_worker._private_jobs FOR EACH ROW EXECUTE FUNCTION fail_first()`,
    );
    const config = readConfig({
      PORT: '0',
      DATABASE_URL: own.url,
      EVENTS_URL: 'memory:',
      GRACE_SECONDS: '0',
      LEASE_SECONDS: '1',
    });
    const server = await startApp(config, createLogger({ level: 'silent' }), [], undefined, handlers);
    try {
      const ownQueue = new JobQueue(own.pool);
      for (const { task } of handlers)
        for (const n of [1, 2, 3]) await ownQueue.add({ ...task, read: String }, `${task.lane} ${n}`);
      await watchJobs(own.pool).nothingLeft();
      expect(new Set(done).size).toBe(3 * lanes.length);
      expect(done.length).toBe(2 * 3 * lanes.length);
      const { rows } = await own.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN "jobs:insert"%'`,
      );
      expect(rows.length).toBeLessThanOrEqual(lanes.length);
    } finally {
      await server.close();
    }
  });
});

test('what is written about roles names all that the queue needs', () => {
  const decision = readFileSync(join('docs', 'decisions', '0009-job-queue.md'), 'utf8');
  expect(decision).toContain('GRANT USAGE ON SCHEMA graphile_worker');
});
