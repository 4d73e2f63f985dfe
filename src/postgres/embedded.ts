import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { StartupError } from '../errors.ts';
import { type Cluster, openCluster } from './cluster.ts';
import { removeUnfinished } from './create-cluster.ts';
import { OWNER_NAME, takeOwnership } from './ownership.ts';
import { type Connection, connectOrStart, findServer, type StartOptions } from './connect-or-start.ts';
import { interruptServer, stopServer } from './postmaster.ts';
import { SUPERUSER } from './programs.ts';
import { PORT, removeSocketFolder } from './socket-folder.ts';

export interface EmbeddedPostgresOptions {
  /** A folder for the data and the server's log. Created if missing. */
  dataDir: string;
  /** False is faster, but a crash of the machine may destroy the data. */
  durable: boolean;
  /** Called with a line for each thing that happens to the server. */
  log?: (line: string) => void;
  /** Aborts the start. Nothing is left running then. */
  signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** The URL of a database on this server, whether or not it exists. */
  url(database: string): string;
  /** Stops PostgreSQL, which ends every connection to it. */
  stop(): Promise<void>;
}

/**
 * Runs the PostgreSQL installed by npm on the data of `dataDir`, for this process only and without TCP.
 * A server left running by a killed process is taken over, and one that is killed is started again.
 * @throws an Error that says what to do if another process runs on the data, or PostgreSQL cannot run here.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { durable, log = () => {}, signal = new AbortController().signal } = options;
  const dataDir = resolve(options.dataDir);
  const cluster = await openCluster(dataDir, { durable, log, signal });
  const closing = new AbortController();
  const startOptions = { durable, applicationName: OWNER_NAME, signal: closing.signal, log };

  const first = await own(cluster, dataDir, { ...startOptions, signal });
  const { socketFolder } = first;
  if (!first.started) log(`Took over the PostgreSQL that an earlier Parley has left running on ${dataDir}.`);
  removeUnfinished(cluster.path);
  let owner: pg.Client | undefined = first.client;
  let recovery = Promise.resolve();
  superviseOwner(first.client);
  // PostgreSQL stops when this process ends in any way, unless it is killed.
  const stopAtExit = () => {
    if (owner) interruptServer(cluster);
  };
  process.once('exit', stopAtExit);

  /** Watches the owner's connection, which ends when PostgreSQL stops or restarts. */
  function superviseOwner(client: pg.Client): void {
    client.once('end', () => {
      owner = undefined;
      if (!closing.signal.aborted) recovery = recover();
    });
  }

  async function recover(): Promise<void> {
    log('PostgreSQL has closed its connections; waiting for it, or starting it again.');
    for (;;) {
      try {
        const { client } = await own(cluster, dataDir, { ...startOptions, socketFolder });
        owner = client;
        superviseOwner(client);
        return log('PostgreSQL is back.');
      } catch (error) {
        if (closing.signal.aborted) return;
        log(error instanceof Error ? error.message : String(error));
        await delay(1_000, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }

  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    closing.abort();
    await recovery;
    const held = owner;
    if (held) {
      // The ownership is held to the end, so that nobody takes over a server that is about to stop.
      await stopServer(cluster);
      await held.end();
      removeSocketFolder(socketFolder);
    }
    process.off('exit', stopAtExit);
  }

  return {
    url: (database) => databaseUrl(database, socketFolder),
    stop: () => (stopped ??= stop()),
  };
}

/** Like `startEmbeddedPostgres`, but works beside a Parley that runs on `dataDir`. That one's server is left running. */
export async function borrowEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, durable, log = () => {} } = options;
  const cluster = await openCluster(resolve(dataDir), { durable, log });
  const found = await findServer(cluster, undefined, OWNER_NAME);
  if (found && found !== 'busy') {
    const { client, socketFolder } = found;
    const owner = await takeOwnership(client, new AbortController().signal);
    await client.end();
    if (owner !== undefined) {
      return { url: (database) => databaseUrl(database, socketFolder), stop: () => Promise.resolve() };
    }
  }
  return startEmbeddedPostgres(options);
}

/**
 * Creates the database that `url` names, if it is missing.
 * @throws pg's error if the server is unreachable or forbids it.
 */
export async function ensureDatabase(url: string): Promise<void> {
  const server = new URL(url);
  const database = decodeURIComponent(server.pathname.slice(1));
  server.pathname = '/postgres';
  const client = new pg.Client({ connectionString: server.href });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (!rowCount) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}

async function own(cluster: Cluster, dataDir: string, options: StartOptions): Promise<Connection> {
  for (;;) {
    const connection = await connectOrStart(cluster, options);
    const owner = await takeOwnership(connection.client, options.signal).catch(async (error: unknown) => {
      await connection.client.end();
      if (isConnectionLost(error)) return 'lost';
      throw error;
    });
    if (owner === undefined) return connection;
    // The server is shutting down. The next attempt starts a new one.
    if (owner === 'lost') continue;
    await connection.client.end();
    throw new StartupError(
      `Another Parley (pid ${owner}) is already running on ${dataDir}; stop it, or set DATA_DIR or DATABASE_URL.`,
    );
  }
}

function isConnectionLost(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || error.code === '57P01';
}

/** The URL for a Unix socket. Host and port are only placeholders. */
function databaseUrl(database: string, socketFolder: string): string {
  const parameters = new URLSearchParams({ host: socketFolder, sslmode: 'disable' });
  return `postgresql://${SUPERUSER}@localhost:${PORT}/${encodeURIComponent(database)}?${parameters}`;
}
