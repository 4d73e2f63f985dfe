import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vitest/config';
import config from './vitest.config.ts';

const harness = join(import.meta.dirname, 'test', 'harness');

/** Has every test execute by the harness, which compares the project's executor with graphql-js. */
const compareExecutions: Plugin = {
  name: 'compare-executions',
  enforce: 'pre',
  resolveId: (source, importer) =>
    source.endsWith('/execution/execute.ts') && !importer?.startsWith(harness)
      ? join(harness, 'compared-execute.ts')
      : undefined,
};

/** All queries and events of the suite, executed both ways: npm run test:compared */
export default defineConfig({
  ...config,
  plugins: [compareExecutions],
  test: {
    ...config.test,
    env: { COMPARED: 'true' },
    setupFiles: ['test/harness/compared-setup.ts'],
    testTimeout: 60_000,
  },
});
