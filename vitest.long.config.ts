import { defineConfig, mergeConfig } from 'vitest/config';
import config from './vitest.config.ts';

/** What takes too long for every run: npm run test:long. One file at a time, because they load the machine. */
export default mergeConfig(
  config,
  defineConfig({ test: { include: ['test/long/**/*.test.ts'], exclude: [], maxWorkers: 1, testTimeout: 600_000 } }),
);
