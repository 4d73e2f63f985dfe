import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';

/** The key of the organization that the first server on a database makes. */
export const FIRST_KEY = 'test-key-of-the-first-organization';

export interface TestDatabase {
  readonly url: string;
  /** Opens connections as they are needed. */
  readonly pool: pg.Pool;
}

/** A database for the tests of this file: a clone of `template`, migrated and without rows. It is there while they and their hooks run. */
export function useDatabase(template = inject('template')): TestDatabase {
  const { url, create, drop } = nameDatabase(template);
  const pool = new pg.Pool({ connectionString: url });
  beforeAll(create);
  afterAll(async () => {
    await closePool(pool);
    await drop();
  });
  return { url, pool };
}

/** Likewise, as the first start of a server leaves it: servers on it are spared filling it. Their first key is `FIRST_KEY`. */
export function useBootstrappedDatabase(): TestDatabase {
  return useDatabase(inject('bootstrapped'));
}

/** `Pool.end` does not wait until its connections are closed, and one that the server ends is an uncaught error. */
async function closePool(pool: pg.Pool): Promise<void> {
  let open = pool.totalCount;
  const closed = new Promise<void>((resolve) => {
    if (open === 0) resolve();
    pool.on('remove', () => --open === 0 && resolve());
  });
  await pool.end();
  await closed;
}

/** A database that the caller drops: a clone of `template`, or an empty one. */
export async function createDatabase(template = 'template0'): Promise<{ url: string; drop(): Promise<void> }> {
  const { url, create, drop } = nameDatabase(template);
  await create();
  return { url, drop };
}

function nameDatabase(template: string) {
  const server = inject('serverUrl');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    create: () => execute(server, cloneDatabase(name, template)),
    drop: () => execute(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** The statement that makes a database. Copying files takes less than half of what it takes to log each page. */
export function cloneDatabase(name: string, template: string): string {
  return `CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`;
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
