import type pg from 'pg';
import { expect, test } from 'vitest';
import type { Queryable } from '../src/db.ts';
import { WebChatOrigins } from '../src/inboxes/origins.ts';
import { createLogger } from '../src/logger.ts';
import { useServer } from './harness/server.ts';
import { addWebChat } from './harness/visits.ts';

const server = useServer();

test('however many origins are made up, one statement at a time looks them up; who is known is let in', async () => {
  const shop = 'https://shop.example';
  await addWebChat(server, { allowedOrigins: [shop] });
  const { pool } = server.services;
  let [running, most, statements] = [0, 0, 0];
  const db: Queryable = {
    async query<R extends pg.QueryResultRow>(query: pg.QueryConfig) {
      statements += 1;
      running += 1;
      most = Math.max(most, running);
      try {
        return await pool.query<R>(query);
      } finally {
        running -= 1;
      }
    },
  };
  const origins = new WebChatOrigins(db, createLogger({ level: 'silent' }));
  expect(await origins.has(shop)).toBe(true);
  const madeUp = (count: number, from: string) =>
    Array.from({ length: count }, (_, index) => origins.has(`https://${from}-${index}.example`));
  // A page that comes first is asked for with those that wait.
  const fresh = new WebChatOrigins(db, createLogger({ level: 'silent' }));
  const first = [fresh.has('https://evil.example'), fresh.has(shop), fresh.has(shop)];
  expect(await Promise.all(first)).toEqual([false, true, true]);
  [most, statements] = [0, 0];
  const answers = await Promise.all([...madeUp(5000, 'evil'), origins.has(shop)]);
  expect(answers.filter(Boolean)).toHaveLength(1);
  expect(answers.at(-1)).toBe(true);
  expect([most, statements]).toEqual([1, expect.any(Number)]);
  expect(statements).toBeLessThanOrEqual(4);
});
