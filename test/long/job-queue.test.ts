import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { JobQueue } from '../../src/jobs/queue.ts';
import { type Bundle, bundle } from '../harness/bundle.ts';
import { execute, useDatabase } from '../harness/database.ts';
import { watchJobs } from '../harness/job-steps.ts';
import { STEPS_TABLE, stumble, wait, walk } from '../harness/job-tasks.ts';
import { type Program, usePrograms } from '../harness/process.ts';

const database = useDatabase();
const { pool } = database;
const queue = new JobQueue(pool);
let program: Bundle | undefined;
beforeAll(async () => {
  await execute(database.url, STEPS_TABLE);
  program = await bundle(join('test', 'harness', 'job-server.ts'));
});
afterAll(() => program?.remove());
const programs = usePrograms({ args: () => [program?.file ?? ''], after: afterAll });

const start = (): Promise<Program> =>
  programs.start({
    DATABASE_URL: database.url,
    EVENTS_URL: 'memory:',
    LEASE_SECONDS: '1',
    DRAIN_SECONDS: '0',
    GRACE_SECONDS: '3',
    LOG_LEVEL: 'warn',
  });

const { waiting, nothingLeft, stepsOf } = watchJobs(pool);

describe('servers that work the queue', { timeout: 60_000 }, () => {
  let running: Program[] = [];
  /** Two servers, of which one is replaced if a test has ended it. */
  beforeEach(async () => {
    running = [...running, ...(await Promise.all(Array.from({ length: 2 - running.length }, start)))];
  });
  /** Ends the server that has done the steps so far. */
  async function end(name: string, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    const [step] = await stepsOf(name);
    const server = running.find(({ pid }) => pid === step?.pid);
    if (!server) throw new Error('No server of this test has begun it.');
    running = running.filter((each) => each !== server);
    return server.kill(signal);
  }

  test('go on with the jobs of one that is killed, within its lease', async () => {
    await queue.add(walk, { name: 'killed', steps: 60 });
    await expect.poll(() => stepsOf('killed').then((steps) => steps.length), waiting).toBeGreaterThan(2);
    expect(await end('killed', 'SIGKILL')).toBe('SIGKILL');
    await nothingLeft();
    const steps = await stepsOf('killed');
    expect(steps.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(steps.at(-1)).toMatchObject({ attempt: 2, pid: running[0]?.pid });
  });

  test('give back what takes long when they are told to end, and it counts as no attempt', async () => {
    await queue.add(walk, { name: 'told', steps: 60 });
    await expect.poll(() => stepsOf('told').then((steps) => steps.length), waiting).toBeGreaterThan(2);
    expect(await end('told', 'SIGTERM')).toBe(0);
    await nothingLeft();
    const steps = await stepsOf('told');
    expect(steps.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, n) => n + 1));
    expect(new Set(steps.map(({ attempt }) => attempt))).toEqual(new Set([1]));
    expect(steps.at(-1)).toMatchObject({ pid: running[0]?.pid });
  });

  test('let quick jobs end when they are told to end', async () => {
    await queue.add(wait, { name: 'quick', steps: 20 });
    await expect.poll(() => stepsOf('quick'), waiting).toHaveLength(1);
    expect(await end('quick', 'SIGTERM')).toBe(0);
    expect(await stepsOf('quick')).toHaveLength(2);
  });

  test('end in time although a quick job does not, and another begins it again', async () => {
    await queue.add(wait, { name: 'stays', steps: 0 }, { key: 'stays' });
    await expect.poll(() => stepsOf('stays'), waiting).toHaveLength(1);
    expect(await end('stays', 'SIGTERM')).toBe(0);
    await expect
      .poll(() => stepsOf('stays'), waiting)
      .toMatchObject([{ attempt: 1 }, { attempt: 1, pid: running[0]?.pid }]);
    await queue.remove('stays');
    await running.pop()?.kill('SIGKILL');
    running = [];
  });

  test('go on after the database has ended all their connections', async () => {
    await queue.add(walk, { name: 'cut', steps: 20 });
    await expect.poll(() => stepsOf('cut').then((steps) => steps.length), waiting).toBeGreaterThan(2);
    await pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'parley%' AND pid <> pg_backend_pid()`,
    );
    await queue.add(stumble, { name: 'after the cut', steps: 1 });
    await nothingLeft();
    expect(new Set((await stepsOf('cut')).map(({ number }) => number)).size).toBe(20);
  });
});
