import { afterAll, beforeAll } from 'vitest';
import type { Runtime } from '../../src/agents/runtime.ts';
import { type App, startApp } from '../../src/app.ts';
import { type Config, readConfig } from '../../src/config.ts';
import type { ResolveDns } from '../../src/email/model.ts';
import { LimitedPool } from '../../src/limited-pool.ts';
import { createLogger, type Logger } from '../../src/logger.ts';
import { FIRST_KEY, useBootstrappedDatabase } from './database.ts';

export interface ServerOptions {
  /** Beside the runtimes that every server has. */
  runtimes?: readonly Runtime[];
  config?: Partial<Config>;
  /** Left out: nothing is logged. */
  logger?: Logger;
  /** Stands in for the domain name system. */
  resolveDns?: ResolveDns;
}

export interface TestServer {
  readonly url: string;
  readonly key: string;
  readonly services: App['services'];
  readonly databaseUrl: string;
}

/** A server in this process, on a free port and a database of its own, for the tests of this file. */
export function useServer(options: ServerOptions = {}): TestServer {
  const database = useBootstrappedDatabase();
  let app: App | undefined;
  const started = () => {
    if (!app) throw new Error('The server of useServer() exists only while tests and their hooks run.');
    return app;
  };
  beforeAll(async () => {
    app = await startServer(database.url, options);
  });
  afterAll(() => app?.close());
  return {
    key: FIRST_KEY,
    get url() {
      return started().url;
    },
    get services() {
      return started().services;
    },
    get databaseUrl() {
      return database.url;
    },
  };
}

/** The pool of a server's requests, with what only its owner asks for. */
export function limitedPoolOf({ services: { pool } }: Pick<TestServer, 'services'>): LimitedPool {
  if (!(pool instanceof LimitedPool)) throw new Error('The server has another pool.');
  return pool;
}

/** A further server in this process, which the caller closes. All servers on one database have one first organization. */
export async function startServer(databaseUrl: string, options: ServerOptions = {}): Promise<App & { key: string }> {
  const defaults = readConfig({
    PORT: '0',
    DATABASE_URL: databaseUrl,
    BOOTSTRAP_API_KEY: FIRST_KEY,
    GRACE_SECONDS: '0',
  });
  const config = { ...defaults, ...options.config };
  const logger = options.logger ?? createLogger({ level: 'silent' });
  const app = await startApp(config, logger, options.runtimes, undefined, undefined, options.resolveDns);
  return { ...app, key: FIRST_KEY };
}
