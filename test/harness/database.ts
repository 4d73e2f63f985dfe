import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';

export interface TestDatabase {
  readonly url: string;
}

/** A migrated database without rows for the tests of this file, dropped after them. Its url is there once they run. */
export function useDatabase(): TestDatabase {
  let database: { url: string; drop(): Promise<void> } | undefined;
  beforeAll(async () => {
    database = await createDatabase(inject('template'));
  });
  afterAll(() => database?.drop());
  return {
    get url() {
      if (!database) throw new Error('The database of useDatabase() exists only while tests and their hooks run.');
      return database.url;
    },
  };
}

/** A database that the caller drops: a clone of `template`, or an empty one. */
export async function createDatabase(template = 'template0'): Promise<{ url: string; drop(): Promise<void> }> {
  const server = inject('serverUrl');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await execute(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

/** Runs one statement on a connection of its own. */
export async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
