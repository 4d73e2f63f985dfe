import { createRequire } from 'node:module';
import { defineConfig } from 'vitest/config';

const { resolve } = createRequire(import.meta.url);

export default defineConfig({
  // As Node resolves it: a second copy of graphql would take the errors and types of the first for strangers.
  resolve: { alias: [{ find: /^graphql$/, replacement: resolve('graphql') }] },
  test: {
    include: ['test/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    // Processes, so that a test can send signals; few, since each file also works PostgreSQL.
    pool: 'forks',
    // Modules are loaded once a process instead of once a file, which is most of the time of a short file.
    isolate: false,
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
