import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import type { Terminal } from './terminal.ts';

export interface OwnServer {
  /** Of the API. */
  url: string;
  key: string;
}

/**
 * Runs some work against a server in this process, on a free port and with a new database. Whatever happens, the server and
 * its PostgreSQL have stopped and the database is gone when this returns. Throws the signal's reason when it aborts.
 */
export async function withOwnServer(
  terminal: Terminal,
  signal: AbortSignal,
  work: (server: OwnServer) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_resolve, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort's reason is what is to be thrown
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  const folder = mkdtempSync(join(tmpdir(), 'parley-demo-'));
  try {
    // For root, whose PostgreSQL runs as another user.
    chmodSync(folder, 0o755);
    const key = `demo_${randomBytes(24).toString('base64url')}`;
    const starting = start(folder, key);
    try {
      const { url } = await terminal.patiently('Still starting.', Promise.race([starting, aborted]));
      terminal.say(`It listens at ${url}/graphql, with its data in ${folder}.`);
      await Promise.race([work({ url: `${url}/graphql`, key }), aborted]);
    } finally {
      terminal.blank();
      terminal.say('Stopping the server and removing its database.');
      // A start cannot be broken off: it is awaited and then undone.
      const stopping = starting.then(
        (app) => app.close(),
        () => undefined,
      );
      await terminal.patiently('Still stopping.', stopping);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(folder: string, key: string): Promise<App> {
  const config = readConfig({
    PORT: '0',
    DATA_DIR: folder,
    BOOTSTRAP_API_KEY: key,
    GRACE_SECONDS: '0',
    LOG_LEVEL: 'silent',
  });
  return startApp(config, createLogger({ level: config.logLevel }));
}
