import { chownSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { StartupError } from '../errors.ts';
import { type Account, canReach } from './account.ts';
import type { Cluster } from './cluster.ts';

/** Only part of the socket's name, since TCP is off. */
export const PORT = 5432;

/** The socket's name in its folder. */
export const SOCKET = `.s.PGSQL.${PORT}`;

/** The longest path of a socket's folder that works on all systems, in bytes. */
const MAX_LENGTH = 103 - `/${SOCKET}`.length;

const PREFIX = 'parley-socket-';

/** Whether the cluster's own folder, private to PostgreSQL, can hold its socket. */
export function holdsItsSocket(cluster: Cluster): boolean {
  return isUsable(cluster.folder);
}

/** The folder for a new server's socket: the cluster's own, or a new one if its path is too long. */
export function createSocketFolder(cluster: Cluster): string {
  if (holdsItsSocket(cluster)) return cluster.folder;
  const { account } = cluster;
  const parent = [tmpdir(), '/tmp'].find((path) => isUsable(join(path, `${PREFIX}XXXXXX`)) && reaches(account, path));
  if (!parent) throw new StartupError(`The path ${cluster.folder} is too long. Set DATA_DIR to a shorter one.`);
  const folder = mkdtempSync(join(parent, PREFIX));
  if (account) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** Whether only the cluster's user can have created the folder. */
export function isTrusted(folder: string, cluster: Cluster): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  const owner = cluster.account?.uid ?? process.getuid?.();
  return found !== undefined && found.isDirectory() && found.uid === owner && (found.mode & 0o077) === 0;
}

/** Removes a folder that `createSocketFolder` created, after the server has stopped. */
export function removeSocketFolder(folder: string): void {
  if (basename(folder).startsWith(PREFIX)) rmSync(folder, { recursive: true, force: true });
}

function reaches(account: Account | undefined, path: string): boolean {
  return account === undefined || canReach(account, path);
}

/** PostgreSQL takes a list of folders, in which commas and quotes are special. */
function isUsable(folder: string): boolean {
  return Buffer.byteLength(folder) <= MAX_LENGTH && !/[",]/.test(folder);
}
