import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createCluster } from '../src/postgres/create-cluster.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

test('a creation that is broken off leaves nothing, although initdb still makes folders', async () => {
  const folder = createTemporaryFolder();
  const started = join(folder, 'started');
  const ended = join(folder, 'ended');
  const initdb = join(folder, 'initdb');
  const script = `#!/bin/sh
trap 'mkdir -p "$2/base"; touch "${ended}"; exit 1' TERM
touch '${started}'
while :; do sleep 0.02; done`;
  writeFileSync(initdb, script, { mode: 0o755 });
  const parent = join(folder, 'postgres');
  mkdirSync(parent);
  const breakOff = new AbortController();
  const creation = createCluster(join(parent, 'data'), {
    account: undefined,
    programs: { initdb, postgres: 'none', majorVersion: '0' },
    durable: false,
    log: () => {},
    signal: breakOff.signal,
  });
  await vi.waitUntil(() => existsSync(started), 10_000);
  breakOff.abort(new Error('enough'));
  await expect(creation).rejects.toThrow('enough');
  await vi.waitUntil(() => existsSync(ended), 10_000);
  expect(readdirSync(parent)).toEqual([]);
});
