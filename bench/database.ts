import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ensureDatabase, startEmbeddedPostgres } from '../src/postgres/embedded.ts';

export interface BenchDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A new database: on the server that `serverUrl` names, or on an embedded PostgreSQL of its own that is as durable as any. */
export async function createDatabase(serverUrl: string | undefined): Promise<BenchDatabase> {
  const name = `parley_bench_${randomBytes(4).toString('hex')}`;
  if (serverUrl !== undefined) {
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    await execute(serverUrl, `CREATE DATABASE ${name}`);
    return { url: url.href, drop: () => execute(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'parley-bench-'));
  // For root, whose PostgreSQL runs as another user.
  chmodSync(dataDir, 0o755);
  const remove = () => rmSync(dataDir, { recursive: true, force: true });
  try {
    const server = await startEmbeddedPostgres({ dataDir, durable: true });
    const url = server.url(name);
    await ensureDatabase(url);
    return {
      url,
      async drop() {
        await server.stop();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
