import { spawn } from 'node:child_process';
import { closeSync, fchownSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { isAlive, readLockFile } from './lock-file.ts';
import { PROGRAM_ENVIRONMENT } from './programs.ts';
import { createSocketFolder, PORT } from './socket-folder.ts';

const STOP_TIMEOUT_MS = 60_000;

export interface LaunchOptions {
  /** Without it a crash of the machine may destroy the cluster: for tests. */
  durable: boolean;
  /** Where the server is to listen, when that must not change. */
  socketFolder?: string;
}

export interface Launch {
  socketFolder: string;
  hasEnded(): boolean;
  /** What it has logged. */
  output(): string;
  abandon(): void;
}

/** Runs the cluster's server, which outlives this process. It ends at once if another one runs. */
export function launch(cluster: Cluster, options: LaunchOptions): Launch {
  const { folder, logFile, programs, account } = cluster;
  const socketFolder = options.socketFolder ?? createSocketFolder(cluster);
  const settings = {
    listen_addresses: '',
    port: PORT,
    unix_socket_directories: socketFolder,
    unix_socket_permissions: '0700',
    max_connections: 200,
    // Of the pages that are logged whole, once each after a checkpoint.
    wal_compression: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Its starts and stops. Errors in statements are reported to whoever sent them.
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
    // In a session of its own, which a terminal's Ctrl-C does not reach.
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

/** Tells the cluster's server to stop, which it does by itself; returns its process id, or undefined when none runs. */
export function interruptServer(cluster: Cluster): number | undefined {
  const pid = readLockFile(cluster)?.pid;
  if (pid === undefined || !isAlive(pid)) return undefined;
  process.kill(pid, 'SIGINT');
  return pid;
}

/**
 * Stops the cluster's server, which closes its connections and settles its data. Does nothing when none runs.
 * @throws an Error when it takes too long; it goes on stopping.
 */
export async function stopServer(cluster: Cluster): Promise<void> {
  const pid = interruptServer(cluster);
  if (pid === undefined) return;
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  // Not `pg_ctl stop`: that would also wait for a server that another process starts next.
  while (readLockFile(cluster)?.pid === pid && isAlive(pid)) {
    if (Date.now() > deadline) throw new Error(`PostgreSQL on ${cluster.path} did not stop in ${STOP_TIMEOUT_MS} ms.`);
    await delay(10);
  }
}
