import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { JobQueue } from '../src/jobs/queue.ts';
import { tidyHandler } from '../src/jobs/tidy.ts';
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
