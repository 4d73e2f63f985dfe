import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureDatabase, startEmbeddedPostgres } from '../../src/postgres/embedded.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { execute } from './database.ts';
import { createTemporaryFolder, removeAbandonedFolders } from './temporary-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the server's own database, for creating others. */
    serverUrl: string;
    /** The name of a migrated database without rows. */
    template: string;
  }
}

/** Starts one PostgreSQL for the whole run, with a migrated database to clone; stops it and removes its data at the end. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeAbandonedFolders();
  const dataDir = createTemporaryFolder();
  const server = await startEmbeddedPostgres({ dataDir, durable: false });
  const teardown = async () => {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const template = 'template_parley';
    await ensureDatabase(server.url(template));
    await migrate(server.url(template), join(project.config.root, 'prisma', 'migrations'));
    // PostgreSQL clones only what nobody is connected to.
    await execute(server.url('postgres'), `ALTER DATABASE ${template} IS_TEMPLATE true ALLOW_CONNECTIONS false`);
    project.provide('serverUrl', server.url('postgres'));
    project.provide('template', template);
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}
