import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { ensureDatabase, startEmbeddedPostgres } from '../src/postgres/embedded.ts';
import { type Bundle, bundle } from './harness/bundle.ts';
import { execute } from './harness/database.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const isRoot = process.getuid?.() === 0;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A folder that disappears after the test, and with it whatever still runs there. */
function temporaryFolder(): string {
  const folder = createTemporaryFolder();
  cleanups.push(async () => {
    for (const dataDir of [folder, join(folder, 'copy'), longPath(folder)]) {
      if (existsSync(join(dataDir, 'data', 'postmaster.pid'))) await (await start(dataDir)).stop();
      if (isRoot && existsSync(join(dataDir, 'data'))) rmSync(realpathSync(join(dataDir, 'data')), { recursive: true });
    }
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

let pristine: string;
let ownPostgres: Bundle;
beforeAll(async () => {
  ownPostgres = await bundle(join('test', 'harness', 'own-postgres.ts'));
  pristine = createTemporaryFolder();
  await (await start(pristine)).stop();
});
afterAll(() => {
  rmSync(pristine, { recursive: true, force: true });
  ownPostgres.remove();
});

/** A folder where PostgreSQL has been before: a copy, since creating a cluster takes long. */
function usedFolder(): string {
  const folder = temporaryFolder();
  copyCluster(pristine, folder);
  return folder;
}

function copyCluster(from: string, to: string): void {
  execFileSync('cp', ['-a', join(from, 'data'), to]);
}

function longPath(folder: string): string {
  return join(folder, 'a'.repeat(100));
}

function start(dataDir: string, log?: (line: string) => void) {
  return startEmbeddedPostgres({ dataDir, durable: false, ...(log && { log }) });
}

/** Another process that starts PostgreSQL on `dataDir`, and the URL or the error that it reports. */
async function startElsewhere(dataDir: string, ...options: 'durable'[]) {
  const child = spawn(process.execPath, [ownPostgres.file, dataDir, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanups.push(() => kill(child));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url, error] = /^(?:url (.*)|error (.*))$/.exec(line) ?? [];
    return { child, url, error };
  }
  throw new Error('the process said nothing');
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function query<R extends pg.QueryResultRow>(url: string, sql: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}

function serverPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'data', 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
}

describe('the embedded PostgreSQL', () => {
  test('keeps its data over a stop and a start', async () => {
    const dataDir = temporaryFolder();
    const first = await start(dataDir);
    await ensureDatabase(first.url('parley'));
    await ensureDatabase(first.url('parley'));
    await execute(first.url('parley'), 'CREATE TABLE kept AS SELECT 42 AS n');
    await first.stop();
    await expect(execute(first.url('parley'), 'SELECT')).rejects.toThrow();

    const second = await start(dataDir);
    expect(await query(second.url('parley'), 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    await second.stop();
  });

  // That of the test run is one, too.
  test('is reachable by its own user alone', async () => {
    const url = inject('serverUrl');
    expect(await query(url, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
    expect(statSync(new URL(url).searchParams.get('host') ?? '').mode & 0o777).toBe(0o700);
  });

  test('orders text by code point, in UTF-8', async () => {
    const sql = `SELECT string_agg(c, '' ORDER BY c) AS ordered FROM unnest('{é,a,Z,b}'::text[]) c`;
    expect(await query(inject('serverUrl'), sql)).toEqual([{ ordered: 'Zabé' }]);
  });

  test('refuses a second process, naming the first, which goes on', async () => {
    const dataDir = usedFolder();
    const { child, url = '' } = await startElsewhere(dataDir);
    await expect(start(dataDir)).rejects.toThrow(
      `Another Parley (pid ${child.pid}) is already running on ${dataDir}; stop it, or set DATA_DIR or DATABASE_URL.`,
    );
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('gives one of two first starts at once the data, and refuses the other', async () => {
    const dataDir = temporaryFolder();
    const { pid } = spawnSync('true');
    mkdirSync(join(dataDir, `.initdb-${pid}-interrupted`));
    const both = await Promise.all([startElsewhere(dataDir), startElsewhere(dataDir)]);
    const [winner] = both.filter((process) => process.url);
    const [loser] = both.filter((process) => process.error);
    expect(loser?.error).toContain(`Another Parley (pid ${winner?.child.pid}) is already running`);
    expect(await query(winner?.url ?? '', 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(readdirSync(dataDir).sort()).toEqual(['data', 'server.log']);
  });

  test('starts on the data of one that is stopping, which does not wait for it', async () => {
    const dataDir = usedFolder();
    const first = await start(dataDir);
    const stopping = first.stop();
    const second = await start(dataDir);
    await stopping;
    expect(await query(second.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.stop();
  });

  test('goes on under a new owner when its owner is killed', async () => {
    const dataDir = usedFolder();
    const { child, url = '' } = await startElsewhere(dataDir);
    await execute(url, 'CREATE TABLE kept AS SELECT 42 AS n');
    const pid = serverPid(dataDir);
    await kill(child);

    const lines: string[] = [];
    const server = await start(dataDir, (line) => lines.push(line));
    expect(lines).toEqual([`Took over the PostgreSQL that an earlier Parley has left running on ${dataDir}.`]);
    expect(serverPid(dataDir)).toBe(pid);
    expect(await query(server.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    await server.stop();
    expect(existsSync(join(dataDir, 'data', 'postmaster.pid'))).toBe(false);
  });

  test('keeps what was committed when it is killed together with its owner', async () => {
    const dataDir = usedFolder();
    const { child, url = '' } = await startElsewhere(dataDir, 'durable');
    await execute(url, 'CREATE TABLE kept AS SELECT 42 AS n');
    await kill(child);
    process.kill(serverPid(dataDir), 'SIGKILL');

    const server = await start(dataDir);
    expect(await query(server.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    await server.stop();
  });

  test('is started again, at the same URL, when it is killed under its owner', async () => {
    const dataDir = usedFolder();
    const server = await start(dataDir);
    const pid = serverPid(dataDir);
    process.kill(pid, 'SIGKILL');
    const answer = () => query(server.url('postgres'), 'SELECT 1 AS one').catch(() => []);
    await expect.poll(answer, { timeout: 15_000 }).toEqual([{ one: 1 }]);
    expect(serverPid(dataDir)).not.toBe(pid);
    await expect(start(dataDir)).rejects.toThrow(`Another Parley (pid ${process.pid}) is already running`);
    await server.stop();
    expect(existsSync(join(dataDir, 'data', 'postmaster.pid'))).toBe(false);
  });

  test.runIf(process.platform === 'linux')('starts although its old process id is now another process', async () => {
    const dataDir = usedFolder();
    const folder = join(dataDir, 'data');
    const { uid, gid } = statSync(folder);
    const other = spawn('sleep', ['60'], { stdio: 'ignore', cwd: '/', ...(isRoot && { uid, gid }) });
    cleanups.push(() => kill(other));
    writeFileSync(join(folder, 'postmaster.pid'), `${other.pid}\n${folder}\n1\n5432\n${folder}\n\n\nready\n`);

    const server = await start(dataDir);
    expect(serverPid(dataDir)).not.toBe(other.pid);
    await server.stop();
  });

  test.runIf(process.platform === 'linux')(
    'serves a copy of its data apart from the original, even a running one',
    async () => {
      const dataDir = usedFolder();
      const original = await start(dataDir);
      const copy = join(dataDir, 'copy');
      mkdirSync(copy);
      copyCluster(dataDir, copy);
      const server = await start(copy);
      await execute(server.url('postgres'), 'CREATE TABLE copied (n int)');
      await expect(execute(original.url('postgres'), 'TABLE copied')).rejects.toThrow('does not exist');
      await server.stop();
      await original.stop();
    },
  );

  test('listens elsewhere when the path is too long for a socket, and is found there again', async () => {
    const dataDir = longPath(temporaryFolder());
    const { child, url = '' } = await startElsewhere(dataDir);
    await execute(url, 'CREATE TABLE kept AS SELECT 42 AS n');
    const socketFolder = new URL(url).searchParams.get('host') ?? '';
    expect(statSync(socketFolder).mode & 0o777).toBe(0o700);
    await kill(child);

    const server = await start(dataDir);
    expect(server.url('postgres')).toBe(url);
    expect(await query(url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    await server.stop();
    expect(existsSync(socketFolder)).toBe(false);
  });

  test.runIf(isRoot)('runs for root where the user that runs it may not go', async () => {
    const dataDir = temporaryFolder();
    chmodSync(dataDir, 0o700);
    const lines: string[] = [];
    const first = await start(dataDir, (line) => lines.push(line));
    await execute(first.url('postgres'), 'CREATE TABLE kept AS SELECT 42 AS n');
    await first.stop();
    const folder = realpathSync(join(dataDir, 'data'));
    expect(folder).toMatch(/^\/var\/lib\/parley\/data-/);
    expect(lines).toEqual([
      `Created a database in ${folder}, linked from ${dataDir}/data: the user who runs PostgreSQL may not enter ${dataDir}.`,
    ]);

    const second = await start(dataDir);
    expect(await query(second.url('postgres'), 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    await second.stop();
  });

  test.runIf(isRoot)('names the folder that keeps its user from existing data', async () => {
    const dataDir = usedFolder();
    chmodSync(dataDir, 0o700);
    await expect(start(dataDir)).rejects.toThrow(`may not enter ${dataDir}. Run \`chmod o+x\` on that folder`);
  });

  test('refuses a folder that holds something else', async () => {
    const dataDir = temporaryFolder();
    mkdirSync(join(dataDir, 'data'));
    writeFileSync(join(dataDir, 'data', 'notes.txt'), 'mine');
    await expect(start(dataDir)).rejects.toThrow(`${dataDir}/data holds something else than PostgreSQL's data`);
  });

  test('refuses the data of another version of PostgreSQL', async () => {
    const dataDir = usedFolder();
    writeFileSync(join(dataDir, 'data', 'PG_VERSION'), '15\n');
    await expect(start(dataDir)).rejects.toThrow(`The data in ${dataDir}/data is of PostgreSQL 15`);
  });

  test('says why PostgreSQL does not start', async () => {
    const dataDir = usedFolder();
    writeFileSync(join(dataDir, 'data', 'postgresql.conf'), 'no_such_setting = on\n');
    await expect(start(dataDir)).rejects.toThrow('unrecognized configuration parameter "no_such_setting"');
  });
});
