import { spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { isAlive, readLockFile } from './lock-file.ts';
import { PROGRAM_ENVIRONMENT } from './programs.ts';
import { createSocketFolder, PORT } from './socket-folder.ts';

const STOP_TIMEOUT_MS = 60_000;

export interface LaunchOptions {
  /** False, for tests, means that a crash of the machine may destroy the cluster. */
  durable: boolean;
  /** The folder in which the server listens, if it must not change. */
  socketFolder?: string;
}

export interface Launch {
  socketFolder: string;
  hasEnded(): boolean;
  /** What the server has logged. */
  output(): string;
  abandon(): void;
}

/** Runs the cluster's server, which outlives this process. It ends at once if another server is running. */
export function launch(cluster: Cluster, options: LaunchOptions): Launch {
  const { folder, logFile, programs, account } = cluster;
  const socketFolder = options.socketFolder ?? createSocketFolder(cluster);
  const settings = {
    listen_addresses: '',
    port: PORT,
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
    max_connections: 200,
    // Compresses the pages that are logged whole, once each after a checkpoint.
    wal_compression: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Logs starts and stops. Errors in statements are reported to their clients.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    ...(!options.durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  const log = openSync(logFile, 'a', 0o600);
  const start = statSync(logFile).size;
  if (account) fchownSync(log, account.uid, account.gid);
  const child = spawn(
    programs.postgres,
    ['-D', folder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    // In a session of its own, so that a terminal's Ctrl-C does not reach it.
    { ...account, cwd: '/', env: PROGRAM_ENVIRONMENT, detached: true, stdio: ['ignore', log, log] },
  );
  closeSync(log);
  child.unref();
  let failure = '';
  let ended = false;
  child.once('error', (error) => {
    failure = error.message;
    ended = true;
  });
  child.once('exit', () => (ended = true));
  return {
    socketFolder,
    hasEnded: () => ended,
    output: () => failure || readFileSync(logFile).subarray(start).toString('utf8').trim(),
    abandon: () => void child.kill('SIGQUIT'),
  };
}

/** Tells the cluster's server to stop and does not wait. Returns its process id, or undefined if none is running. */
export function interruptServer(cluster: Cluster): number | undefined {
  const pid = readLockFile(cluster)?.pid;
  if (pid === undefined || !isAlive(pid)) return undefined;
  process.kill(pid, 'SIGINT');
  return pid;
}

/**
 * Stops the cluster's server, which closes its connections and flushes its data. Does nothing if none is running.
 * @throws an Error if it takes too long. The server goes on stopping.
 */
export async function stopServer(cluster: Cluster): Promise<void> {
  const pid = interruptServer(cluster);
  if (pid === undefined) return;
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  // Does not use `pg_ctl stop`, which would also wait for a server that another process starts next.
  while (readLockFile(cluster)?.pid === pid && isAlive(pid)) {
    if (Date.now() > deadline) throw new Error(`PostgreSQL on ${cluster.path} did not stop in ${STOP_TIMEOUT_MS} ms.`);
    await delay(10);
  }
}
