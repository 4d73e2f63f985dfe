import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Handler, handle, type Task } from '../../src/jobs/task.ts';

interface Steps {
  name: string;
  steps: number;
}

const read = (payload: unknown): Steps => {
  if (typeof payload !== 'object' || payload === null) throw new Error('Not an object.');
  if (!('name' in payload) || typeof payload.name !== 'string') throw new Error('No name.');
  if (!('steps' in payload) || typeof payload.steps !== 'number') throw new Error('No steps.');
  return { name: payload.name, steps: payload.steps };
};

/** Takes so many steps, 50 ms apart, and stores each; goes on after the last one that was stored. */
export const walk: Task<Steps> = { name: 'test.walk', lane: 'long', read };

/** Throws until it has been tried so many times. */
export const stumble: Task<Steps> = { name: 'test.stumble', lane: 'quick', read };

/** Waits until it is aborted, and then fails; with steps, it ends of itself after so many times 50 ms. */
export const wait: Task<Steps> = { name: 'test.wait', lane: 'quick', read };

export const STEPS_TABLE = `CREATE TABLE IF NOT EXISTS step (name text, number int, pid int, attempt int)`;

/** They tell what they do in the table `step` of the database. */
export function testHandlers(databaseUrl: string): { handlers: Handler[]; end(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 6 });
  pool.on('error', () => undefined);
  const store = ({ name }: Steps, number: number, attempt: number) =>
    pool.query('INSERT INTO step (name, number, pid, attempt) VALUES ($1, $2, $3, $4)', [
      name,
      number,
      process.pid,
      attempt,
    ]);
  const handlers = [
    handle(walk, async (payload, { signal, attempt }) => {
      const { rows } = await pool.query<{ done: number }>(
        'SELECT coalesce(max(number), 0) AS done FROM step WHERE name = $1',
        [payload.name],
      );
      for (let number = (rows[0]?.done ?? 0) + 1; number <= payload.steps; number += 1) {
        signal.throwIfAborted();
        await sleep(50, undefined, { signal });
        await store(payload, number, attempt);
      }
    }),
    handle(stumble, async (payload, { attempt }) => {
      await store(payload, attempt, attempt);
      if (attempt < payload.steps) throw new Error(`stumbled the ${attempt}. time`);
    }),
    handle(wait, async (payload, { signal, attempt }) => {
      await store(payload, 0, attempt);
      if (payload.steps === 0) {
        if (!signal.aborted) await once(signal, 'abort');
        signal.throwIfAborted();
      }
      await sleep(50 * payload.steps);
      await store(payload, 1, attempt);
    }),
  ];
  return { handlers, end: () => pool.end() };
}
