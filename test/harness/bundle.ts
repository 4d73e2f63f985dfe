import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..', '..');

export interface Bundle {
  /** What Node runs. */
  readonly file: string;
  readonly remove: () => void;
}

/** What runs in threads of its own, by its path below `src`. */
const workers = ['json-schema/worker', 'generation/lease-worker', 'email/letter/letter-worker'];

/** Makes a program and each of its workers one file, which start several times faster than their sources do. The caller removes it. */
export async function bundle(entry: string): Promise<Bundle> {
  const folder = join(root, 'node_modules', '.cache', 'parley-test', `${basename(entry, '.ts')}-${randomUUID()}`);
  await build({
    entryPoints: {
      main: join(root, entry),
      ...Object.fromEntries(workers.map((worker) => [worker, join(root, 'src', `${worker}.ts`)])),
    },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    // The sources find other files of the repository from where they are; workers are found from the one file.
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(root, 'src', 'main.ts')).href) },
  });
  return { file: join(folder, 'main.mjs'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}
