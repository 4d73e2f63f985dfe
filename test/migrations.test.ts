import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { diffWithSchema } from '../scripts/schema-diff.ts';
import { migrate } from '../src/postgres/migrate.ts';
import { createDatabase, execute, useDatabase } from './harness/database.ts';

describe("Parley's own migrations", () => {
  const database = useDatabase();

  // A comparison starts the Prisma CLI, which takes seconds: that one tells whether it sees what is missing, too.
  test('lead to prisma/schema.prisma', async () => {
    await execute(database.url, 'ALTER TABLE message DROP COLUMN error_detail');
    const statements = (await diffWithSchema(database.url))
      ?.replace(/^--.*$/gm, '')
      .replace(/\s+/g, ' ')
      .trim();
    expect(statements).toBe('ALTER TABLE "message" ADD COLUMN "error_detail" TEXT;');
  });

  test('only add, so that servers of the last release go on working beside the new ones', () => {
    const folder = join(import.meta.dirname, '..', 'prisma', 'migrations');
    const found = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !contracting.has(entry.name))
      .flatMap(({ name }) => contractionsIn(readFileSync(join(folder, name, 'migration.sql'), 'utf8'), name));
    expect(found).toEqual([]);
  });

  test.each([
    ['ALTER TABLE a DROP COLUMN b', true],
    ['DROP TABLE a', true],
    ['ALTER TABLE a RENAME COLUMN b TO c', true],
    ['ALTER TABLE "a" ALTER COLUMN "b" SET DATA TYPE text', true],
    ['ALTER TABLE a ALTER b TYPE text', true],
    ['ALTER TABLE a ALTER COLUMN b SET NOT NULL', true],
    ['ALTER TABLE a ADD COLUMN b int NOT NULL', true],
    ['ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0', false],
    ['ALTER TABLE a ADD COLUMN type text', false],
    ["ALTER TYPE a ADD VALUE 'b'", false],
    ['DROP INDEX a', false],
    ['ALTER TABLE a DROP CONSTRAINT b', true],
    ['ALTER TABLE a DROP CONSTRAINT "b", ADD CONSTRAINT "b" FOREIGN KEY (c, d) REFERENCES e(c, d)', false],
    ['ALTER TABLE a DROP CONSTRAINT "b", ADD CONSTRAINT "c" FOREIGN KEY (c, d) REFERENCES e(c, d)', true],
    ['ALTER TABLE a DROP CONSTRAINT "b", ADD CONSTRAINT "b" CHECK (d IS NOT NULL)', true],
    ['-- DROP TABLE a\nCREATE TABLE b (type text NOT NULL)', false],
  ])('are checked for what would not: %s', (sql, contracts) => {
    expect(contractionsIn(sql, '').length > 0).toBe(contracts);
  });

  test('index the text of passages', async () => {
    const indexes = await rows(database.url, `SELECT FROM pg_indexes WHERE indexname = 'passage_search_idx'`);
    expect(indexes).toHaveLength(1);
  });
});

/** Migrations that took something away that no release used any more, or from before the first release. */
const contracting = new Set(['20261122224119_growing_chunks']);

/** Statements that take away or narrow what a server of the last release may use. */
function contractionsIn(sql: string, migration: string): string[] {
  const statements = sql
    .replace(/--.*$/gm, '')
    // A reference that is replaced by one that says more, under the name that servers know it by.
    .replace(/\bDROP CONSTRAINT ("\w+"),(?= ADD CONSTRAINT \1 FOREIGN KEY )/g, '')
    .split(';');
  const forbidden = [
    /\bDROP\s+(?!INDEX\b)/i,
    /\bRENAME\b/i,
    /\bTRUNCATE\b/i,
    /\bALTER\s+(COLUMN\s+)?\S+\s+(SET\s+DATA\s+)?TYPE\b/i,
    /\bSET\s+NOT\s+NULL\b/i,
    /\bADD\s+(COLUMN\s+)?(?!.*\bDEFAULT\b)(?!CONSTRAINT).*\bNOT\s+NULL\b/i,
  ];
  return statements
    .filter((statement) => forbidden.some((pattern) => pattern.test(statement)))
    .map((statement) => `${migration}: ${statement.trim()}`);
}

describe('migrate', () => {
  let directory: string;
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let url: string;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'parley-migrations-'));
    database = await createDatabase();
    ({ url } = database);
  });
  afterEach(async () => {
    await database.drop();
    rmSync(directory, { recursive: true, force: true });
  });

  function write(name: string, sql: string): void {
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, name, 'migration.sql'), sql);
  }

  async function tables(): Promise<string[]> {
    const found = await rows<{ name: string }>(
      url,
      `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1`,
    );
    return found.map(({ name }) => name).filter((name) => name !== '_prisma_migrations');
  }

  test('applies what is new, in the order of the names, and each once', async () => {
    write('2_second', 'ALTER TABLE a ADD COLUMN m int');
    write('1_first', 'CREATE TABLE a (n int)');
    writeFileSync(join(directory, 'migration_lock.toml'), 'provider = "postgresql"');
    expect(await migrate(url, directory)).toEqual(['1_first', '2_second']);
    expect(await migrate(url, directory)).toEqual([]);
    write('3_third', 'CREATE TABLE b (n int)');
    expect(await migrate(url, directory)).toEqual(['3_third']);
    expect(await tables()).toEqual(['a', 'b']);
  });

  test('takes turns with others that migrate at once', async () => {
    write('1_first', 'CREATE TABLE a (n int)');
    write('2_second', 'CREATE TABLE b (n int)');
    const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(url, directory)));
    expect(applied.flat().sort()).toEqual(['1_first', '2_second']);
  });

  test('leaves nothing of a migration that fails, and applies it once it is mended', async () => {
    write('1_first', 'CREATE TABLE a (n int)');
    write('2_second', 'CREATE TABLE b (n int);\nINSERT INTO nowhere VALUES (1);');
    await expect(migrate(url, directory)).rejects.toThrow(
      'The migration 2_second failed and was rolled back: relation "nowhere" does not exist (line 2 of its file)',
    );
    expect(await tables()).toEqual(['a']);
    write('2_second', 'CREATE TABLE b (n int)');
    expect(await migrate(url, directory)).toEqual(['2_second']);
    expect(await tables()).toEqual(['a', 'b']);
  });

  test('leaves nothing of a migration that cannot be recorded', async () => {
    write('1_first', 'CREATE TABLE a (n int);\nALTER TABLE _prisma_migrations ADD CHECK (finished_at IS NULL)');
    await expect(migrate(url, directory)).rejects.toThrow('The migration 1_first failed and was rolled back');
    expect(await tables()).toEqual([]);
  });

  test('refuses a migration that was changed after it was applied', async () => {
    write('1_first', 'CREATE TABLE a (n int)');
    await migrate(url, directory);
    write('1_first', 'CREATE TABLE a (n bigint)');
    write('2_second', 'CREATE TABLE b (n int)');
    await expect(migrate(url, directory)).rejects.toThrow('The migration 1_first was changed after it was applied');
    expect(await tables()).toEqual(['a']);
  });

  test('refuses a database that a newer program has migrated', async () => {
    write('1_first', 'CREATE TABLE a (n int)');
    write('2_second', 'CREATE TABLE b (n int)');
    await migrate(url, directory);
    rmSync(join(directory, '2_second'), { recursive: true });
    await expect(migrate(url, directory)).rejects.toThrow(
      'The database has the migration 2_second, which this program',
    );
  });

  test('refuses a database where a migration of the Prisma CLI has failed, until that is resolved', async () => {
    write('1_first', 'CREATE TABLE a (n int)');
    await migrate(url, directory);
    await execute(url, `INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ('x', 'x', '2_second')`);
    write('2_second', 'CREATE TABLE b (n int)');
    await expect(migrate(url, directory)).rejects.toThrow('The migration 2_second has failed earlier');
    await execute(url, 'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL');
    expect(await migrate(url, directory)).toEqual(['2_second']);
  });

  test('says in a line what it could not reach, and never the password', async () => {
    const unreachable = 'postgresql://parley:s3cret@127.0.0.1:1/app';
    await expect(migrate(unreachable, directory)).rejects.toThrow(
      /^Cannot connect to the database app at 127\.0\.0\.1:1: connect ECONNREFUSED 127\.0\.0\.1:1\. Check DATABASE_URL.*$/,
    );
    const missing = new URL(url);
    missing.pathname = '/missing';
    await expect(migrate(missing.href, directory)).rejects.toThrow('database "missing" does not exist');
    const malformed: unknown = await migrate('postgresql://parley:s3cret@:x/app', directory).catch(
      (error: unknown) => error,
    );
    expect(malformed).toHaveProperty(
      'message',
      expect.stringContaining('DATABASE_URL is not the URL of a PostgreSQL database'),
    );
    expect(malformed).not.toHaveProperty('cause');
  });
});

async function rows<R extends pg.QueryResultRow>(url: string, sql: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}
