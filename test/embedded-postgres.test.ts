import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { ensureDatabase } from '../src/postgres/embedded.ts';
import { isRoot, kill, query, serverPid, start, useClusters } from './harness/clusters.ts';
import { execute } from './harness/database.ts';

const { temporaryFolder, usedFolder, usedFolderWithoutTables, startElsewhere } = useClusters();

describe('the embedded PostgreSQL', () => {
  test('keeps its data over a stop and a start', async () => {
    const dataDir = usedFolder();
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

  test.runIf(isRoot)('names the folder that keeps its user from existing data', async () => {
    const dataDir = usedFolderWithoutTables();
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
    const dataDir = usedFolderWithoutTables();
    writeFileSync(join(dataDir, 'data', 'PG_VERSION'), '15\n');
    await expect(start(dataDir)).rejects.toThrow(`The data in ${dataDir}/data is of PostgreSQL 15`);
  });

  test('says why PostgreSQL does not start', async () => {
    const dataDir = usedFolderWithoutTables();
    writeFileSync(join(dataDir, 'data', 'postgresql.conf'), 'no_such_setting = on\n');
    await expect(start(dataDir)).rejects.toThrow('unrecognized configuration parameter "no_such_setting"');
  });
});
