import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts';
import { type Bundle, bundle } from './bundle.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

export const isRoot = process.getuid?.() === 0;

/** The embedded PostgreSQL on folders of its own, for the tests of this file. */
export interface Clusters {
  /** A folder that disappears after the test, and with it whatever still runs there. */
  temporaryFolder: () => string;
  /** A folder where PostgreSQL has been before: a copy, since creating a cluster takes long. */
  usedFolder: () => string;
  /** The same without the tables: enough where nothing is read of them, and copied and removed much sooner. */
  usedFolderWithoutTables: () => string;
  /** Another process that starts PostgreSQL on `dataDir`, and the URL or the error that it reports. */
  startElsewhere: (dataDir: string, ...options: 'durable'[]) => Promise<Elsewhere>;
  /** Does something after the test. */
  cleanUp: (how: () => unknown) => void;
}

interface Elsewhere {
  child: ChildProcess;
  url?: string | undefined;
  error?: string | undefined;
}

export function useClusters(): Clusters {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });
  let pristine: string;
  let ownPostgres: Bundle;
  beforeAll(async () => {
    ownPostgres = await bundle(join('test', 'harness', 'own-postgres.ts'), { alone: true });
    pristine = createTemporaryFolder();
    await (await start(pristine)).stop();
  });
  afterAll(() => {
    rmSync(pristine, { recursive: true, force: true });
    ownPostgres.remove();
  });

  function temporaryFolder(): string {
    const folder = createTemporaryFolder();
    cleanups.push(async () => {
      for (const dataDir of [folder, join(folder, 'copy'), longPath(folder)]) {
        if (existsSync(join(dataDir, 'data', 'postmaster.pid'))) await (await start(dataDir)).stop();
        if (isRoot && existsSync(join(dataDir, 'data')))
          rmSync(realpathSync(join(dataDir, 'data')), { recursive: true });
      }
      rmSync(folder, { recursive: true, force: true });
    });
    return folder;
  }

  return {
    temporaryFolder,
    usedFolder() {
      const folder = temporaryFolder();
      copyCluster(pristine, folder);
      return folder;
    },
    usedFolderWithoutTables() {
      const folder = temporaryFolder();
      const [from, to] = [join(pristine, 'data'), join(folder, 'data')];
      const { uid, gid, mode } = statSync(from);
      mkdirSync(to);
      const files = readdirSync(from, { withFileTypes: true }).filter((entry) => entry.isFile());
      execFileSync('cp', ['-a', ...files.map(({ name }) => join(from, name)), to]);
      chmodSync(to, mode & 0o777);
      if (isRoot) chownSync(to, uid, gid);
      return folder;
    },
    async startElsewhere(dataDir, ...options) {
      const child = spawn(process.execPath, [ownPostgres.file, dataDir, ...options], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      cleanups.push(() => kill(child));
      for await (const line of createInterface({ input: child.stdout })) {
        const [, url, error] = /^(?:url (.*)|error (.*))$/.exec(line) ?? [];
        return { child, url, error };
      }
      throw new Error('the process said nothing');
    },
    cleanUp: (how) => void cleanups.push(how),
  };
}

export function copyCluster(from: string, to: string): void {
  execFileSync('cp', ['-a', join(from, 'data'), to]);
}

export function longPath(folder: string): string {
  return join(folder, 'a'.repeat(100));
}

export function start(dataDir: string, log?: (line: string) => void): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir, durable: false, ...(log && { log }) });
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function query<R extends pg.QueryResultRow>(url: string, sql: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}

export function serverPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'data', 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
}
