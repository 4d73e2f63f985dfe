import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { StartupError } from '../errors.ts';
import { errorCode } from './error-code.ts';

/** Prisma's own lock key, so that `prisma migrate deploy` and this function never run at the same time. */
const MIGRATION_LOCK = 72707369;

const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum            VARCHAR(64) NOT NULL,
  finished_at         TIMESTAMPTZ,
  migration_name      VARCHAR(255) NOT NULL,
  logs                TEXT,
  rolled_back_at      TIMESTAMPTZ,
  started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, in hexadecimal. */
  checksum: string;
}

interface AppliedMigration {
  name: string;
  checksum: string;
  finished: boolean;
}

/**
 * Applies the migrations of `directory` that the database lacks, in the order of their names, like `prisma migrate deploy`
 * and with the same table. Each is one transaction with its own record. Processes that migrate at the same time take turns.
 * @returns the names of the applied migrations.
 * @throws an Error that says what to do if the database is unreachable, a migration fails, or the database and the
 * directory disagree about the past. A migration that fails leaves no trace.
 */
export async function migrate(connectionString: string, directory: string): Promise<string[]> {
  const migrations = readMigrations(directory);
  const client = await connect(connectionString);
  try {
    await client.query('SET statement_timeout = 0');
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    // Lets a role that may not create tables start a server on a database that is up to date.
    const { rows } = await client.query("SELECT FROM pg_class WHERE oid = to_regclass('_prisma_migrations')");
    if (rows.length === 0) await client.query(CREATE_TABLE);
    const applied = await readApplied(client);
    const pending = findPending(migrations, applied);
    for (const migration of pending) await apply(client, migration);
    return pending.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

function readMigrations(directory: string): Migration[] {
  return readdirSync(directory)
    .filter((name) => existsSync(join(directory, name, 'migration.sql')))
    .sort()
    .map((name) => {
      const sql = readFileSync(join(directory, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });
}

async function readApplied(client: pg.Client): Promise<AppliedMigration[]> {
  const { rows } = await client.query<AppliedMigration>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return rows;
}

/** The migrations to apply. Throws if the applied ones do not match the directory. */
function findPending(migrations: Migration[], applied: AppliedMigration[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, checksum, finished } of applied) {
    const migration = known.get(name);
    if (!migration) {
      throw new StartupError(
        `The database has the migration ${name}, which this program does not know: a newer one has run on it. ` +
          'Run that one, or set DATABASE_URL to another database.',
      );
    }
    if (!finished) {
      throw new StartupError(
        `The migration ${name} has failed earlier and may be half done. Undo or complete it by hand, then run ` +
          `\`npx prisma migrate resolve\` with \`--rolled-back ${name}\` or \`--applied ${name}\`.`,
      );
    }
    if (migration.checksum !== checksum) {
      throw new StartupError(
        `The migration ${name} was changed after it was applied. Restore its file, and put the change into a new migration.`,
      );
    }
  }
  const names = new Set(applied.map(({ name }) => name));
  return migrations.filter(({ name }) => !names.has(name));
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('COMMIT');
  } catch (cause) {
    // Closing the connection, as `migrate` does next, rolls back.
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartupError(`The migration ${name} failed and was rolled back: ${reason}${position(cause, sql)}`, {
      cause,
    });
  }
}

/** The line in the script where PostgreSQL found the error, if it reports one. */
function position(error: unknown, sql: string): string {
  if (!(error instanceof pg.DatabaseError) || !error.position) return '';
  return ` (line ${sql.slice(0, Number(error.position)).split('\n').length} of its file)`;
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = createClient(connectionString);
  // A lost connection is reported to the query that waits for it.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    const reason = describe(error);
    const place = `${client.database} at ${client.host.startsWith('/') ? client.host : `${client.host}:${client.port}`}`;
    throw new StartupError(
      `Cannot connect to the database ${place}: ${reason}. Check DATABASE_URL, and that the server runs.`,
    );
  }
}

function createClient(connectionString: string): pg.Client {
  try {
    return new pg.Client({ connectionString, connectionTimeoutMillis: 10_000, application_name: 'parley-migrate' });
  } catch {
    // The parser's own error contains the URL, and with it the password.
    throw new StartupError(
      'DATABASE_URL is not the URL of a PostgreSQL database: postgresql://user:password@host:5432/database',
    );
  }
}

/** A host with several addresses fails with an error for each address and an empty message. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return describe(error.errors[0]);
  return (error instanceof Error && error.message) || errorCode(error) || String(error);
}
