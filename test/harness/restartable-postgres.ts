import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { type EmbeddedPostgres, ensureDatabase, startEmbeddedPostgres } from '../../src/postgres/embedded.ts';
import { execute } from './database.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

export interface RestartablePostgres {
  readonly url: string;
  /** Ends every connection and transaction at once; resolves when the server takes connections again. */
  restart(): Promise<void>;
}

/** A PostgreSQL server for the tests of this file alone, with an empty database. */
export function useRestartablePostgres(): RestartablePostgres {
  const dataDir = createTemporaryFolder();
  let server: EmbeddedPostgres | undefined;
  const url = () => {
    if (!server) throw new Error('The server of useRestartablePostgres() exists only while tests and their hooks run.');
    return server.url('parley');
  };
  const pid = () => Number(readFileSync(join(dataDir, 'data', 'postmaster.pid'), 'utf8').split('\n', 1)[0]);

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ dataDir, durable: false });
    await ensureDatabase(url());
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  return {
    get url() {
      return url();
    },
    async restart() {
      const witness = new pg.Client({ connectionString: url() });
      witness.on('error', () => undefined);
      await witness.connect();
      const down = new Promise((resolve) => witness.once('end', resolve));
      // A fast shutdown. Whoever started the server starts it again.
      process.kill(pid(), 'SIGINT');
      await down;
      while (!(await answers(url()))) await sleep(10);
    },
  };
}

function answers(url: string): Promise<boolean> {
  return execute(url, 'SELECT').then(
    () => true,
    () => false,
  );
}
