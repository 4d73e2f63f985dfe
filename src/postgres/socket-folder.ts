import { chownSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { StartupError } from '../errors.ts';
import { type Account, canReach } from './account.ts';
import type { Cluster } from './cluster.ts';

/** No TCP: a number is only part of the socket's name. */
export const PORT = 5432;

/** The socket's name in its folder. */
export const SOCKET = `.s.PGSQL.${PORT}`;

/** What the shortest limit among the systems leaves for the path of a socket's folder, in bytes. */
const MAX_LENGTH = 103 - `/${SOCKET}`.length;

const PREFIX = 'parley-socket-';

/** Whether the cluster's own folder, private to PostgreSQL, can hold its socket. */
export function holdsItsSocket(cluster: Cluster): boolean {
  return isUsable(cluster.folder);
}

/** The folder for the socket of a server to be started: the cluster's own, or a new one when its path is too long. */
export function createSocketFolder(cluster: Cluster): string {
  if (holdsItsSocket(cluster)) return cluster.folder;
  const { account } = cluster;
  const parent = [tmpdir(), '/tmp'].find((path) => isUsable(join(path, `${PREFIX}XXXXXX`)) && reaches(account, path));
  if (!parent) throw new StartupError(`The path ${cluster.folder} is too long. Set DATA_DIR to a shorter one.`);
  const folder = mkdtempSync(join(parent, PREFIX));
  if (account) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** Whether a folder is one that only the cluster's user could have made. */
export function isTrusted(folder: string, cluster: Cluster): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  const owner = cluster.account?.uid ?? process.getuid?.();
  return found !== undefined && found.isDirectory() && found.uid === owner && (found.mode & 0o077) === 0;
}

/** Removes a folder that `createSocketFolder` made, once nobody listens there. */
export function removeSocketFolder(folder: string): void {
  if (basename(folder).startsWith(PREFIX)) rmSync(folder, { recursive: true, force: true });
}

function reaches(account: Account | undefined, path: string): boolean {
  return account === undefined || canReach(account, path);
}

/** PostgreSQL takes a list of folders, in which a comma and a quote mean something. */
function isUsable(folder: string): boolean {
  return Buffer.byteLength(folder) <= MAX_LENGTH && !/[",]/.test(folder);
}
