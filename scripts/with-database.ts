import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { readConfig, SettingsError } from '../src/config.ts';
import { openDatabase, poolLimits, type PrismaClient } from '../src/db.ts';
import { StartupError } from '../src/errors.ts';
import { borrowEmbeddedPostgres, ensureDatabase } from '../src/postgres/embedded.ts';
import { migrate } from '../src/postgres/migrate.ts';

/** What is wrong with the command line. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/**
 * Runs a command on the database of the settings, beside a server that may be running on it, and prints what it returns.
 * `readCommand` finds out which, and throws `UsageError` before anything is opened.
 */
export async function runWithDatabase(
  readCommand: () => (pool: pg.Pool, prisma: PrismaClient) => Promise<string>,
): Promise<void> {
  try {
    const command = readCommand();
    const config = readConfig();
    const embedded = config.databaseUrl
      ? null
      : await borrowEmbeddedPostgres({ dataDir: join(config.dataDir, 'postgres'), durable: true });
    try {
      const url = config.databaseUrl ?? embedded?.url('parley') ?? '';
      if (embedded) await ensureDatabase(url);
      await migrate(url, fileURLToPath(new URL('../prisma/migrations', import.meta.url)));
      const database = openDatabase(url, poolLimits.patient, () => undefined);
      try {
        console.log(await command(database.pool, database.prisma));
      } finally {
        await database.close();
      }
    } finally {
      await embedded?.stop();
    }
  } catch (error) {
    const expected = [UsageError, SettingsError, StartupError].some((type) => error instanceof type);
    console.error(expected && error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
