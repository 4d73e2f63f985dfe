// Writes a migration that brings the database from prisma/migrations to prisma/schema.prisma:
//   npm run db:migrate -- NAME
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ensureDatabase, startEmbeddedPostgres } from '../src/postgres/embedded.ts';
import { migrate } from '../src/postgres/migrate.ts';
import { diffWithSchema } from './schema-diff.ts';

const migrations = join(import.meta.dirname, '..', 'prisma', 'migrations');

try {
  console.log(await writeMigration(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function writeMigration([name, ...rest]: string[]): Promise<string> {
  if (!name || rest.length > 0 || !/^[a-z][a-z0-9_]{0,99}$/.test(name)) {
    throw new Error(
      'Name the migration in lower case with underscores, for example: npm run db:migrate -- add_message_feedback',
    );
  }
  const sql = await withThrowawayDatabase(async (url) => {
    await migrate(url, migrations);
    return diffWithSchema(url);
  });
  if (sql === undefined) return 'Nothing to write: the migrations lead to prisma/schema.prisma already.';
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const file = join(migrations, `${timestamp}_${name}`, 'migration.sql');
  mkdirSync(join(file, '..'));
  writeFileSync(file, sql);
  return `Wrote ${relative(process.cwd(), file)}. Read it before you commit it; Parley applies it when it starts.`;
}

async function withThrowawayDatabase<T>(work: (url: string) => Promise<T>): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-migrate-'));
  // For root, whose server runs as another user.
  chmodSync(dataDir, 0o755);
  try {
    const server = await startEmbeddedPostgres({ dataDir, durable: false });
    try {
      const url = server.url('parley');
      await ensureDatabase(url);
      return await work(url);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}
