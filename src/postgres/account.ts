import { execFileSync, spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { StartupError } from '../errors.ts';

/** A system account, by its numeric ids. */
export interface Account {
  uid: number;
  gid: number;
}

/** Whether this process runs as root, which PostgreSQL refuses. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** For root: the account to run PostgreSQL as. `postgres`, created if missing, or else `nobody`. */
export function serviceAccount(): Account {
  const account = findAccount('postgres') ?? createAccount('postgres') ?? findAccount('nobody');
  if (account) return account;
  throw new StartupError(
    'PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as. ' +
      'Create one, run Parley as an ordinary user, or set DATABASE_URL to a PostgreSQL server of your own.',
  );
}

/** For root: whether `account` can enter the folder, or execute the file, at `path`. */
export function canReach(account: Account, path: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$0"', path], { ...account, cwd: '/' }).status === 0;
}

/** For root: the outermost folder on the way to `path` that `account` may not enter, or `path` itself if there is none. */
export function firstBarrier(account: Account, path: string): string {
  const parent = dirname(path);
  return parent === path || canReach(account, parent) ? path : firstBarrier(account, parent);
}

function findAccount(name: string): Account | undefined {
  const id = (flag: string) => Number(execFileSync('id', [flag, name], { stdio: ['ignore', 'pipe', 'ignore'] }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    return undefined;
  }
}

function createAccount(name: string): Account | undefined {
  spawnSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', name]);
  return findAccount(name);
}
