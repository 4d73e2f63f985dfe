import { createRequire } from 'node:module';
import { defineConfig } from 'vitest/config';

const { resolve } = createRequire(import.meta.url);

export default defineConfig({
  resolve: {
    alias: [
      // As Node resolves it: a second copy of graphql would take the errors and types of the first for strangers.
      { find: /^graphql$/, replacement: resolve('graphql') },
      // Bundled once a run: a worker from its sources takes as long to start as all the rest of a server.
      { find: /^.*\/worker-thread\.ts$/, replacement: resolve('./test/harness/worker-thread.ts') },
    ],
  },
  test: {
    include: ['test/*.test.ts'],
    globalSetup: ['test/harness/global-setup.ts'],
    // Processes, so that a test can send signals; few, since each file also works PostgreSQL: three keep two cores busy.
    pool: 'forks',
    // Modules are loaded once a process instead of once a file, which is most of the time of a short file.
    isolate: false,
    maxWorkers: 3,
    // Several times what the slowest takes, for slow machines.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
