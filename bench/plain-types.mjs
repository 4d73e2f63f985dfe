import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';

/** A loader of TypeScript, as Node's `module.register` takes it. */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context);
  const options = { loader: 'ts', format: 'esm', target: 'node20', sourcemap: 'inline' };
  const { code } = await transform(await readFile(fileURLToPath(url), 'utf8'), options);
  return { format: 'module', shortCircuit: true, source: code };
}
