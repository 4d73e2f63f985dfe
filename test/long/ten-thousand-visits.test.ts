import { expect, test } from 'vitest';
import { forgetVisitors } from '../../src/inboxes/visits/forget.ts';
import { useServer } from '../harness/server.ts';
import { addWebChat, askForVisit } from '../harness/visits.ts';

const VISITS = 10_000;
/** Visits that are asked for at the same time. */
const AT_ONCE = 20;

const server = useServer({ config: { visitLimitPerAddress: 0, visitLimitPerInbox: 0 } });

/** The rows of each table that has any. */
async function countRows(): Promise<Record<string, number>> {
  const { pool } = server.services;
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT relname AS name FROM pg_stat_user_tables WHERE schemaname = 'public' ORDER BY relname`,
  );
  const counts: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await pool.query<{ count: number }>(`SELECT count(*)::int AS count FROM "${name}"`);
    if (rows[0] && rows[0].count > 0) counts[name] = rows[0].count;
  }
  return counts;
}

test('ten thousand visitors who write nothing are a row each, and none a day later', { timeout: 900_000 }, async () => {
  const { publicKey } = await addWebChat(server);
  const { rate_window: _before, ...before } = await countRows();
  const began = performance.now();
  let next = 0;
  const visitor = async () => {
    while (next++ < VISITS) {
      const { data } = await askForVisit(server, { inboxKey: publicKey });
      expect(data?.result.__typename).toBe('StartVisitPayload');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, visitor));
  const seconds = (performance.now() - began) / 1000;
  const { rate_window: windows = 0, ...after } = await countRows();
  console.log(`${VISITS} visits in ${seconds.toFixed(1)} s; rows before`, before, 'after', after, { windows });
  expect(after).toEqual({ ...before, contact: (before['contact'] ?? 0) + VISITS });
  // What is counted for limits is of the network and the inbox, not of each visit.
  expect(windows).toBeLessThan(10);

  const { pool } = server.services;
  await pool.query(`UPDATE contact SET forget_after = forget_after - interval '1 day'`);
  const swept = performance.now();
  while ((await forgetVisitors(pool)) > 0);
  const { rate_window: _windows, ...left } = await countRows();
  console.log(`forgotten in ${((performance.now() - swept) / 1000).toFixed(1)} s; rows left`, left);
  expect(left).toEqual(before);
});
