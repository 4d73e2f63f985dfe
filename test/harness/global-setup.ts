import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { ensureDatabase, startEmbeddedPostgres } from '../../src/postgres/embedded.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { bundle } from './bundle.ts';
import { execute } from './database.ts';
import { createTemporaryFolder, removeAbandonedFolders } from './temporary-folder.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the server's own database, for creating others. */
    serverUrl: string;
    /** The name of a migrated database without rows. */
    template: string;
    /** The real program as one file. */
    program: string;
  }
}

/**
 * Starts one PostgreSQL for the whole run, with a migrated database to clone, and makes the program one file; stops it and
 * removes both at the end.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  removeAbandonedFolders();
  const dataDir = createTemporaryFolder();
  const program = await bundle(join('src', 'main.ts'));
  const server = await startEmbeddedPostgres({ dataDir, durable: false });
  const teardown = async () => {
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
    program.remove();
  };
  try {
    const template = 'template_parley';
    await ensureDatabase(server.url(template));
    await migrate(server.url(template), join(project.config.root, 'prisma', 'migrations'));
    // PostgreSQL clones only what nobody is connected to.
    await execute(server.url('postgres'), `ALTER DATABASE ${template} IS_TEMPLATE true ALLOW_CONNECTIONS false`);
    project.provide('serverUrl', server.url('postgres'));
    project.provide('template', template);
    project.provide('program', program.file);
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}
