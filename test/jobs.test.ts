import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { JobQueue } from '../src/jobs/queue.ts';
import { tidyHandler } from '../src/jobs/tidy.ts';
import { followJob, JobWatch } from '../src/jobs/watch.ts';
import { MAX_UNFINISHED, startJob, TooManyJobsError } from '../src/jobs/tracked.ts';
import { makeRoom } from '../src/records/make-room.ts';
import { newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { useDatabase } from './harness/database.ts';

// Of jobs as rows: no server works here.
const database = useDatabase();
const { pool } = database;
const jobs = new JobQueue(pool);
const logger = createLogger({ level: 'silent' });
const organizationId: string = randomUUID();
const context = { signal: new AbortController().signal, attempt: 1, isLast: true };

async function addOrganization(id: string = randomUUID()): Promise<string> {
  await pool.query(`INSERT INTO organization (id, name) VALUES ($1, 'Ours')`, [id]);
  return id;
}
beforeAll(() => addOrganization(organizationId));

async function addJob(
  status: string,
  expiresAt: Date | null = null,
  organization: string = organizationId,
): Promise<string> {
  const id = randomUUID();
  await pool.query(
    `INSERT INTO job (id, organization_id, kind, status, input, secret, expires_at)
      VALUES ($1, $2, 'EXPORT', $3::"JobStatus", '{}', '', $4)`,
    [id, organization, status, expiresAt],
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
  const tidy = tidyHandler(
    { pool, jobs, logger },
    {
      EXPORT: { run, discard, keepSeconds: 1 },
      ERASURE: { run, discard, keepSeconds: 1 },
    },
  );
  await tidy.run(null, context);
  expect(asked).toEqual(ids);
  await tidy.run(null, context);
  expect(asked.slice(ids.length)).toEqual([ids[1]]);
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM job WHERE id = ANY($1) AND expires_at IS NOT NULL`,
    [[...ids, kept]],
  );
  expect(rows.map(({ id }) => id).toSorted()).toEqual([ids[1], kept].toSorted());
});

test('a job that runs is told of each time that its server writes its row, also without a change, and else not', async () => {
  const id = await addJob('RUNNING');
  let looks = 0;
  const watched = new pg.Pool({ connectionString: database.url });
  watched.on('acquire', () => (looks += 1));
  const watch = new JobWatch(watched, logger);
  onTestFinished(async () => {
    watch.close();
    await watched.end();
  });
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
  const lookedAgain = () => {
    const enough = looks + 3;
    return expect.poll(() => looks, { timeout: 20_000, interval: 100 }).toBeGreaterThan(enough);
  };
  // As it is, and as it was when it was looked at first.
  await lookedAgain();
  expect(told).toEqual(['RUNNING 0', 'RUNNING 0']);
  await lookedAgain();
  expect(told).toHaveLength(2);
  await set('progress = progress');
  await expect.poll(() => told.length, { timeout: 20_000 }).toBe(3);
  await set('progress = 0.5');
  await expect.poll(() => told.length, { timeout: 20_000 }).toBe(4);
  await set(`status = 'DONE'`);
  await over;
  expect(told.slice(2)).toEqual(['RUNNING 0', 'RUNNING 0.5', 'DONE 0.5']);
});

test('an organization has no more unfinished jobs than it may, however many are asked for at once', async () => {
  const own = await addOrganization();
  const asked = Array.from({ length: 3 * MAX_UNFINISHED }, () =>
    startJob({ pool, jobs, newId }, { organizationId: own, kind: 'EXPORT', input: {} }),
  );
  const outcomes = await Promise.allSettled(asked);
  const refused = outcomes.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []));
  expect(refused).toHaveLength(2 * MAX_UNFINISHED);
  for (const reason of refused) expect(reason).toBeInstanceOf(TooManyJobsError);
});

test('the oldest exports of an organization give way to a new one that needs their room', async () => {
  const own = await addOrganization();
  const add = async (organization: string, day: number) => {
    const id = await addJob('DONE', new Date(Date.now() + 3_600_000), organization);
    await pool.query(`UPDATE job SET state = '{"bytes": 40}', finished_at = $2 WHERE id = $1`, [
      id,
      new Date(Date.UTC(2026, 0, day)),
    ]);
    return id;
  };
  const [newest, oldest, middle] = [await add(own, 3), await add(own, 1), await add(own, 2)];
  await add(organizationId, 1);
  expect(await makeRoom(pool, own, 20, 100)).toEqual([oldest]);
  expect(await makeRoom(pool, own, 20, 100)).toEqual([]);
  expect((await makeRoom(pool, own, 100, 100)).toSorted()).toEqual([middle, newest].toSorted());
});
