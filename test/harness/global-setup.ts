import { rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bootstrap } from '../../src/access/bootstrap.ts';
import { openDatabase, poolLimits } from '../../src/db.ts';
import { newId } from '../../src/ids.ts';
import { ensureDatabase, startEmbeddedPostgres } from '../../src/postgres/embedded.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { bundle } from './bundle.ts';
import { cloneDatabase, execute, FIRST_KEY } from './database.ts';
import { createTemporaryFolder, removeAbandonedFolders } from './temporary-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the server's own database, for creating others. */
    serverUrl: string;
    /** The name of a migrated database without rows. */
    template: string;
    /** The name of a database as the first start leaves it: with an organization, a key, an agent and its corpus. */
    bootstrapped: string;
    /** The real program as one file. */
    program: string;
  }
}

/**
 * Starts one PostgreSQL for the whole run, or takes the one of TEST_DATABASE_URL, with two databases to clone, and
 * makes the program one file; stops what it started and removes what it made at the end.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeAbandonedFolders();
  const program = await bundle(join('src', 'main.ts'));
  const server = process.env.TEST_DATABASE_URL ? givenServer(process.env.TEST_DATABASE_URL) : await ownServer();
  // A server that is given may serve another run too.
  const template = `template_parley_${randomBytes(4).toString('hex')}`;
  const bootstrapped = `${template}_bootstrapped`;
  const teardown = async () => {
    await server.stop([template, bootstrapped]);
    program.remove();
  };
  // PostgreSQL clones only what nobody is connected to.
  const seal = (database: string) =>
    execute(server.url('postgres'), `ALTER DATABASE ${database} IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  try {
    await ensureDatabase(server.url(template));
    await migrate(server.url(template), join(project.config.root, 'prisma', 'migrations'));
    await seal(template);
    await execute(server.url('postgres'), cloneDatabase(bootstrapped, template));
    await bootstrapDatabase(server.url(bootstrapped), join(project.config.root, 'corpus'));
    await seal(bootstrapped);
    project.provide('serverUrl', server.url('postgres'));
    project.provide('template', template);
    project.provide('bootstrapped', bootstrapped);
    project.provide('program', program.file);
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}

/** Does what the first start of a server does to a database. */
async function bootstrapDatabase(url: string, corpusDirectory: string): Promise<void> {
  const database = openDatabase(url, poolLimits.patient, () => undefined);
  try {
    await bootstrap(database, { apiKey: FIRST_KEY, newId, corpusDirectory });
  } finally {
    await database.close();
  }
}

interface TestServer {
  url(database: string): string;
  stop(templates: string[]): Promise<void>;
}

async function ownServer(): Promise<TestServer> {
  const dataDir = createTemporaryFolder();
  const server = await startEmbeddedPostgres({ dataDir, durable: false });
  return {
    url: (name) => server.url(name),
    async stop() {
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Needs an account that may create databases. */
function givenServer(given: string): TestServer {
  const url = (database: string) => Object.assign(new URL(given), { pathname: `/${database}` }).href;
  return {
    url,
    async stop(templates) {
      for (const template of templates) {
        await execute(url('postgres'), `ALTER DATABASE ${template} IS_TEMPLATE false`).catch(() => undefined);
        await execute(url('postgres'), `DROP DATABASE IF EXISTS ${template}`);
      }
    },
  };
}
