import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { errorCode } from './error-code.ts';
import { SOCKET } from './socket-folder.ts';

export interface LockFile {
  /** Process id of the server that wrote the file. The server may have been killed since. */
  pid: number;
  /** The cluster's folder as known to the server. It differs if this cluster is a copy. */
  folder: string | undefined;
  socketFolder: string | undefined;
}

/** The lock file that a server wrote into the cluster's folder. Undefined if none is running and none was killed. */
export function readLockFile({ folder }: Cluster): LockFile | undefined {
  try {
    const lines = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    // A file being written has no number yet, and a negative one would mean a process group.
    return pid > 0 ? { pid, folder: lines[1], socketFolder: lines[4] } : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a process with this id runs, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Whether PostgreSQL gave up because another server runs, or seems to: a killed one leaves its lock file behind. */
export function isOccupied(output: string): boolean {
  return /lock file ".*" already exists|pre-existing shared memory block|another postmaster/.test(output);
}

/**
 * Removes lock files that name a process which is not a server of this cluster: after a kill the id may belong to
 * another process or a zombie. Needs /proc, and does nothing elsewhere.
 */
export function removeStaleLockFiles({ folder }: Cluster): void {
  if (process.platform !== 'linux') return;
  const { uid } = statSync(folder);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // All processes of a server have the cluster's folder as their working directory.
      if (readlinkSync(`/proc/${pid}/cwd`) === folder) return;
    } catch (error) {
      const mayNotKnow = errorCode(error) === 'EACCES';
      if (mayNotKnow && statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid) return;
    }
  }
  for (const name of ['postmaster.pid', `${SOCKET}.lock`]) rmSync(join(folder, name), { force: true });
}
