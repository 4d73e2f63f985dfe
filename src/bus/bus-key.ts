import { randomBytes } from 'node:crypto';
import type { Queryable } from '../db.ts';

/** The key of the event bus of this installation: a secret that all its servers read from the database. The first one makes it. */
export async function readBusKey(db: Queryable): Promise<string> {
  await db.query({
    text: 'INSERT INTO bus_key (key) VALUES ($1) ON CONFLICT DO NOTHING',
    values: [randomBytes(32).toString('base64url')],
  });
  const { rows } = await db.query<{ key: string }>({ text: 'SELECT key FROM bus_key', values: [] });
  const [row] = rows;
  if (!row) throw new Error('The table bus_key is empty, although a key was just written.');
  return row.key;
}
