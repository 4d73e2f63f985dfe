import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { errorCode } from './error-code.ts';
import { SOCKET } from './socket-folder.ts';

export interface LockFile {
  /** Of the server that wrote it, which may have been killed since. */
  pid: number;
  /** The cluster's folder as the server knows it: another one, when this is a copy. */
  folder: string | undefined;
  socketFolder: string | undefined;
}

/** What a server has recorded of itself in the cluster's folder; undefined when none runs, and none was killed. */
export function readLockFile({ folder }: Cluster): LockFile | undefined {
  try {
    const lines = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    // Of a file being written there is no number yet, and a negative one would mean a group of processes.
    return pid > 0 ? { pid, folder: lines[1], socketFolder: lines[4] } : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a process of this id runs, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Whether PostgreSQL gave up since another one is there, or seems to be: a killed one leaves its lock file behind. */
export function isOccupied(output: string): boolean {
  return /lock file ".*" already exists|pre-existing shared memory block|another postmaster/.test(output);
}

/**
 * Removes lock files that name a process which is not a server of this cluster: after a kill the number may be
 * another's, or a zombie's. Needs /proc; elsewhere it does nothing.
 */
export function removeStaleLockFiles({ folder }: Cluster): void {
  if (process.platform !== 'linux') return;
  const { uid } = statSync(folder);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // Every process of a server works in the cluster's folder.
      if (readlinkSync(`/proc/${pid}/cwd`) === folder) return;
    } catch (error) {
      const mayNotKnow = errorCode(error) === 'EACCES';
      if (mayNotKnow && statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid) return;
    }
  }
  for (const name of ['postmaster.pid', `${SOCKET}.lock`]) rmSync(join(folder, name), { force: true });
}
