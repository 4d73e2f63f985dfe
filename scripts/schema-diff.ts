import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');
const prisma = join(dirname(createRequire(import.meta.url).resolve('prisma/package.json')), 'build', 'index.js');

/**
 * The SQL that makes of the database behind `url` what prisma/schema.prisma says; undefined when it is that already.
 * @throws an Error with what the Prisma CLI says when it fails.
 */
export async function diffWithSchema(url: string): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'parley-diff-'));
  const output = join(folder, 'migration.sql');
  const command = ['migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma', '--script'];
  try {
    await promisify(execFile)(process.execPath, [prisma, ...command, '--exit-code', '--output', output], {
      cwd: root,
      env: { ...process.env, DATABASE_URL: url, CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
    });
    return undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 2) return readFileSync(output, 'utf8');
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
