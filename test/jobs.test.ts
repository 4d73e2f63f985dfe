import { randomUUID } from 'node:crypto';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { JobQueue } from '../src/jobs/queue.ts';
import { tidyHandler } from '../src/jobs/tidy.ts';
import { followJob, JobWatch } from '../src/jobs/watch.ts';
import { createLogger } from '../src/logger.ts';
import { useDatabase } from './harness/database.ts';

// Of jobs as rows: no server works here.
const { pool } = useDatabase();
const jobs = new JobQueue(pool);
const logger = createLogger({ level: 'silent' });
const organizationId = randomUUID();
const context = { signal: new AbortController().signal, attempt: 1, isLast: true };

beforeAll(() => pool.query(`INSERT INTO organization (id, name) VALUES ($1, 'Ours')`, [organizationId]));

async function addJob(status: string, expiresAt: Date | null = null): Promise<string> {
  const id = randomUUID();
  await pool.query(
    `INSERT INTO job (id, organization_id, kind, status, input, secret, expires_at)
      VALUES ($1, $2, 'EXPORT', $3::"JobStatus", '{}', '', $4)`,
    [id, organizationId, status, expiresAt],
  );
  return id;
}

test('what has expired is removed, oldest first, although something cannot be', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 102; n += 1) ids.push(await addJob('DONE', new Date(Date.UTC(2026, 0, 1, 0, 0, n))));
  const kept = await addJob('DONE', new Date(Date.now() + 3_600_000));
  const asked: string[] = [];
  const discard = ({ id }: { id: string }) => {
    asked.push(id);
    return id === ids[1] ? Promise.reject(new Error('The disk does not answer.')) : Promise.resolve();
  };
  const run = () => Promise.reject(new Error('Nothing runs.'));
  const tidy = tidyHandler({ pool, jobs, logger }, { EXPORT: { run, discard, keepSeconds: 1 } });
  await tidy.run(null, context);
  expect(asked).toEqual(ids);
  await tidy.run(null, context);
  expect(asked.slice(ids.length)).toEqual([ids[1]]);
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM job WHERE expires_at IS NOT NULL ORDER BY 1');
  expect(rows.map(({ id }) => id).toSorted()).toEqual([ids[1], kept].toSorted());
});

test('a job that runs is told of when it has changed, and not when its row was merely written', async () => {
  const id = await addJob('RUNNING');
  let looks = 0;
  const watched = new Proxy(pool, {
    get(target, name) {
      if (name === 'query') looks += 1;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const watch = new JobWatch(watched, logger);
  onTestFinished(() => watch.close());
  const set = (assignments: string) => pool.query(`UPDATE job SET ${assignments} WHERE id = $1`, [id]);
  const read = async () => {
    const { rows } = await pool.query<{ status: string; progress: number }>(
      'SELECT status, progress FROM job WHERE id = $1',
      [id],
    );
    return rows[0] ?? null;
  };
  const told: string[] = [];
  const over = (async () => {
    for await (const { status, progress } of followJob(watch, id, read, context.signal)) {
      told.push(`${status} ${progress}`);
    }
  })();
  const untouched = looks + 4;
  await expect
    .poll(async () => (await set('progress = progress'), looks), { timeout: 20_000, interval: 100 })
    .toBeGreaterThan(untouched);
  await set('progress = 0.5');
  await expect.poll(() => told.length, { timeout: 20_000 }).toBeGreaterThan(1);
  await set(`status = 'DONE'`);
  await over;
  expect(told).toEqual(['RUNNING 0', 'RUNNING 0.5', 'DONE 0.5']);
});
