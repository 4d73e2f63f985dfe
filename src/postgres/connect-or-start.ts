import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../errors.ts';
import type { Cluster } from './cluster.ts';
import { isOccupied, readLockFile, removeStaleLockFiles } from './lock-file.ts';
import { launch, type Launch, type LaunchOptions } from './postmaster.ts';
import { SUPERUSER } from './programs.ts';
import { holdsItsSocket, isTrusted, PORT, removeSocketFolder } from './socket-folder.ts';

const START_TIMEOUT_MS = 60_000;
const TELL_AFTER_MS = 3_000;

export interface Connection {
  client: pg.Client;
  socketFolder: string;
  /** Whether no server was running before. */
  started: boolean;
}

export interface StartOptions extends LaunchOptions {
  applicationName: string;
  signal: AbortSignal;
  log: (line: string) => void;
}

/**
 * Connects to the cluster's server, and starts one if none is running. PostgreSQL itself makes sure that only one runs.
 * @throws an Error with the end of PostgreSQL's log if it cannot be started.
 */
export async function connectOrStart(cluster: Cluster, options: StartOptions): Promise<Connection> {
  const { signal, log, applicationName } = options;
  const start = Date.now();
  let deadline = start + START_TIMEOUT_MS;
  let told = false;
  let launched: Launch | undefined;
  try {
    for (;;) {
      signal.throwIfAborted();
      const found = await findServer(cluster, launched?.socketFolder, applicationName);
      if (found && found !== 'busy') return { ...found, started: launched !== undefined };
      if (!told && Date.now() > start + TELL_AFTER_MS) {
        told = true;
        log(`Waiting for PostgreSQL on ${cluster.path}, which ${found ? 'starts or shuts down' : 'does not answer'}.`);
      }
      // Waits as long as PostgreSQL takes to recover from a crash or to shut down.
      if (found === 'busy') deadline = Date.now() + START_TIMEOUT_MS;
      else launched ??= launch(cluster, options);
      if (launched && Date.now() > deadline) throw startFailure(cluster, launched.output());
      if (launched?.hasEnded()) {
        if (!options.socketFolder) removeSocketFolder(launched.socketFolder);
        if (!isOccupied(launched.output())) throw startFailure(cluster, launched.output());
        removeStaleLockFiles(cluster);
        launched = undefined;
        await delay(200, undefined, { signal });
      }
      await delay(25, undefined, { signal });
    }
  } catch (error) {
    launched?.abandon();
    throw error;
  }
}

/** The cluster's running server; `busy` while it starts or shuts down. */
export async function findServer(
  cluster: Cluster,
  launchedAt: string | undefined,
  applicationName: string,
): Promise<Omit<Connection, 'started'> | 'busy' | undefined> {
  for (const socketFolder of new Set([...knownSocketFolders(cluster), ...(launchedAt ? [launchedAt] : [])])) {
    const client = await tryConnect(socketFolder, applicationName);
    if (client) return client === 'busy' ? client : { client, socketFolder };
  }
  return undefined;
}

/** Undefined if nothing answers. */
async function tryConnect(socketFolder: string, applicationName: string): Promise<pg.Client | 'busy' | undefined> {
  const client = new pg.Client({
    host: socketFolder,
    port: PORT,
    user: SUPERUSER,
    database: 'postgres',
    ssl: false,
    application_name: applicationName,
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) return undefined;
    // The server is starting, recovering or shutting down.
    if (error.code === '57P03') return 'busy';
    throw error;
  }
}

/** The folders in which a server of this cluster may be listening. */
function knownSocketFolders(cluster: Cluster): string[] {
  if (holdsItsSocket(cluster)) return [cluster.folder];
  const lock = readLockFile(cluster);
  if (lock?.folder !== cluster.folder || !lock.socketFolder) return [];
  return isTrusted(lock.socketFolder, cluster) ? [lock.socketFolder] : [];
}

function startFailure({ folder, logFile }: Cluster, output: string): StartupError {
  const end = output.split('\n').slice(-5).join('\n');
  return new StartupError(`PostgreSQL could not be started on ${folder}. Its log, ${logFile}, ends with:\n${end}`);
}
