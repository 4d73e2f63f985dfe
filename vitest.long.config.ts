import { defineConfig } from 'vitest/config';
import config from './vitest.config.ts';

/** What takes too long for every run: npm run test:long. One file at a time, because they load the machine. */
export default defineConfig({
  ...config,
  // Not merged, since lists would be joined: the files of the other suite would run again.
  test: { ...config.test, include: ['test/long/**/*.test.ts'], maxWorkers: 1, testTimeout: 600_000 },
});
