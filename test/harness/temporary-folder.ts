import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive } from '../../src/postgres/lock-file.ts';

/** The name of a folder, with the id of the process whose tests use it. */
const NAME = /^parley-test-(\d+)-/;

/** A folder that every user may enter: PostgreSQL, when root tests, is another one. The caller removes it. */
export function createTemporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), `parley-test-${process.pid}-`));
  chmodSync(folder, 0o755);
  return folder;
}

/** Removes the folders of test runs that were killed. A PostgreSQL that runs there notices, and ends within a minute. */
export function removeAbandonedFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = NAME.exec(name) ?? [];
    if (!pid || isAlive(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}
