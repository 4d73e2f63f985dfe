import { execFile } from 'node:child_process';
import { chownSync, lstatSync, mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StartupError } from '../errors.ts';
import { type Account, canReach, firstBarrier } from './account.ts';
import { errorCode } from './error-code.ts';
import { isAlive } from './lock-file.ts';
import { openServiceHome, PROGRAM_ENVIRONMENT, type Programs, SUPERUSER } from './programs.ts';

/** The name of an unfinished cluster, with the id of the process that creates it. */
const UNFINISHED = /^\.initdb-(\d+)-/;

export interface Creation {
  /** The account that PostgreSQL will run as. Undefined: that of this process. */
  account: Account | undefined;
  programs: Programs;
  /** Whether the cluster is flushed to disk when this returns. */
  durable: boolean;
  log: (line: string) => void;
  /** Aborts the creation. */
  signal?: AbortSignal;
}

/**
 * Creates a cluster, which gets its name only once complete: `path` is a cluster or absent. Where `account` may not go it is
 * created elsewhere, and `path` is a symbolic link to it.
 * @throws an Error that says why it failed, for example because `path` was taken meanwhile.
 */
export async function createCluster(path: string, creation: Creation): Promise<void> {
  const { account, log } = creation;
  const parent = dirname(path);
  const barrier = account && !canReach(account, parent) ? firstBarrier(account, path) : undefined;
  const folder = mkdtempSync(barrier ? join(openServiceHome(), 'data-') : join(parent, `.initdb-${process.pid}-`));
  try {
    if (account) chownSync(folder, account.uid, account.gid);
    await initialise(folder, creation);
    if (barrier) link(folder, path);
    else renameSync(folder, path);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  log(
    barrier
      ? `Created a database in ${folder}, linked from ${path}: the user who runs PostgreSQL may not enter ${barrier}.`
      : `Created a database in ${path}.`,
  );
}

/** Removes unfinished clusters beside `path` whose process has ended. */
export function removeUnfinished(path: string): void {
  for (const name of readdirSync(dirname(path))) {
    const [, pid] = UNFINISHED.exec(name) ?? [];
    if (pid && !isAlive(Number(pid))) rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}

function link(folder: string, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmdirSync(path);
  symlinkSync(folder, path);
}

async function initialise(folder: string, { account, programs, durable, signal }: Creation): Promise<void> {
  const options = [
    `--username=${SUPERUSER}`,
    '--auth-local=trust',
    '--auth-host=reject',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ];
  signal?.throwIfAborted();
  const running = promisify(execFile)(programs.initdb, ['-D', folder, ...options], {
    ...account,
    cwd: '/',
    env: PROGRAM_ENVIRONMENT,
  });
  // The `signal` of Node would not wait until initdb and what it runs have ended: they would write into a folder being removed.
  const stop = (): boolean => running.child.kill();
  signal?.addEventListener('abort', stop);
  try {
    await running;
  } catch (cause) {
    signal?.throwIfAborted();
    throw new StartupError(`${programs.initdb} could not create a database in ${folder}. ${explain(cause)}`, { cause });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function explain(error: unknown): string {
  // The kernel's answer if a program's loader is missing.
  if (errorCode(error) === 'ENOENT') {
    return 'This system cannot run it: on Linux it needs glibc, which Alpine lacks. Use another system, or set DATABASE_URL.';
  }
  const printed = error instanceof Error && 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  return printed.trim() || String(error);
}
