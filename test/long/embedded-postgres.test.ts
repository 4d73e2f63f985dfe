import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyCluster, isRoot, kill, longPath, query, serverPid, start, useClusters } from '../harness/clusters.ts';
import { execute } from '../harness/database.ts';

const { temporaryFolder, usedFolder, startElsewhere, cleanUp } = useClusters();

describe('the embedded PostgreSQL', () => {
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

  test.runIf(process.platform === 'linux')('starts although its old process id is now another process', async () => {
    const dataDir = usedFolder();
    const folder = join(dataDir, 'data');
    const { uid, gid } = statSync(folder);
    const other = spawn('sleep', ['60'], { stdio: 'ignore', cwd: '/', ...(isRoot && { uid, gid }) });
    cleanUp(() => kill(other));
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
});
