import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const root = join(import.meta.dirname, '..', '..');

interface Started {
  child: ChildProcess;
  dataDir: string;
  said(what: RegExp): Promise<void>;
  ended: Promise<void>;
  output: () => string;
}

/** `npm start`, or what it runs, on a new folder; in a group of its own, as a terminal would have it. */
function start([command, ...args]: [string, ...string[]], env: Record<string, string> = {}): Started {
  const dataDir = createTemporaryFolder();
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    env: { PATH, HOME, PORT: '0', DATA_DIR: dataDir, GRACE_SECONDS: '1', DRAIN_SECONDS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const ended = once(child, 'close').then(() => undefined);
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    child,
    dataDir,
    ended,
    output: () => text,
    async said(what) {
      while (!what.test(text)) {
        if (child.exitCode !== null) throw new Error(`It ended:\n${text}`);
        await sleep(10);
      }
    },
  };
}

const direct: [string, ...string[]] = [process.execPath, '--import', 'tsx', 'src/main.ts'];
const byNpm: [string, ...string[]] = ['npm', 'start'];

/** Whether PostgreSQL is left: running, or half made. */
function remains({ dataDir }: Started): string[] {
  const folder = join(dataDir, 'postgres');
  const unfinished = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('.initdb')) : [];
  return existsSync(join(folder, 'data', 'postmaster.pid')) ? ['postmaster.pid', ...unfinished] : unfinished;
}

const moments: [string, RegExp][] = [
  ['when it has just begun', /Parley is starting/],
  ['while the database is created', /Listens at/],
  ['while PostgreSQL starts', /Created a database/],
  ['while the tables are made', /PostgreSQL runs/],
  ['when it runs', /Parley is running/],
];

describe('PostgreSQL is not left running', { timeout: 60_000 }, () => {
  test.each(moments)('by Ctrl-C %s', async (_when, said) => {
    const started = start(direct);
    await started.said(said);
    // A terminal sends it to all processes of the group.
    process.kill(-(started.child.pid ?? 0), 'SIGINT');
    await started.ended;
    expect(remains(started)).toEqual([]);
  });

  test.each(moments)('by SIGTERM %s', async (_when, said) => {
    const started = start(direct);
    await started.said(said);
    started.child.kill('SIGTERM');
    await started.ended;
    expect(started.child.exitCode).toBe(0);
    expect(remains(started)).toEqual([]);
  });

  test('by a terminal that is closed', async () => {
    const started = start(direct);
    await started.said(/Parley is running/);
    process.kill(-(started.child.pid ?? 0), 'SIGHUP');
    await started.ended;
    expect(remains(started)).toEqual([]);
  });

  test('by two Ctrl-C, or three', async () => {
    const started = start(direct, { GRACE_SECONDS: '60' });
    await started.said(/Parley is running/);
    for (let i = 0; i < 3; i += 1) {
      try {
        process.kill(-(started.child.pid ?? 0), 'SIGINT');
      } catch {
        break; // It has ended.
      }
      await sleep(600);
    }
    await started.ended;
    expect(remains(started)).toEqual([]);
  });

  test.each<[NodeJS.Signals]>([['SIGTERM'], ['SIGINT']])('nor the server, by %s to npm', async (signal) => {
    const started = start(byNpm);
    await started.said(/Parley is running/);
    started.child.kill(signal);
    await started.ended;
    expect(remains(started)).toEqual([]);
    expect(started.output()).not.toMatch(/"level":"(?:error|fatal)"|graphile-worker|lost an idle/);
    expect(() => process.kill(-(started.child.pid ?? 0), 0)).toThrow();
  });
});
