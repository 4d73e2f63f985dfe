import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { StartupError } from '../errors.ts';
import { SchemaChecker, SchemaError } from '../json-schema/checker.ts';
import { isJsonObject } from '../json.ts';
import type { Logger } from '../logger.ts';
import type { Runtime } from './runtime.ts';

/** The runtimes that every installation has. */
const ownNames = ['knowledge', 'model'];

/**
 * Loads additional runtimes. Each module's default export is a runtime or a list of runtimes. Paths are relative to
 * the working directory and begin with a dot or a slash. Anything else is a package name.
 * @throws {StartupError} naming a module that cannot be used, and why.
 */
export async function loadRuntimes(modules: readonly string[], logger: Logger): Promise<Runtime[]> {
  const loaded: Runtime[] = [];
  const names = new Set(ownNames);
  const schemas = new SchemaChecker(logger);
  try {
    for (const module of modules) {
      for (const runtime of await load(module, schemas)) {
        if (names.has(runtime.name)) throw unusable(module, `there is already a runtime named ${runtime.name}`);
        names.add(runtime.name);
        loaded.push(runtime);
      }
    }
    return loaded;
  } finally {
    await schemas.close();
  }
}

async function load(module: string, schemas: SchemaChecker): Promise<Runtime[]> {
  const isPath = module.startsWith('.') || isAbsolute(module);
  let loaded: unknown;
  try {
    loaded = await import(isPath ? pathToFileURL(resolve(module)).href : module);
  } catch (error) {
    throw unusable(module, error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
  const exported = isObject(loaded) ? loaded.default : undefined;
  const runtimes: unknown[] = Array.isArray(exported) ? exported : [exported];
  if (runtimes.length === 0 || !runtimes.every(isRuntime)) {
    throw unusable(
      module,
      'its default export is no runtime, an object with a name, a parametersSchema and a reply, nor a list of them',
    );
  }
  for (const { name, parametersSchema } of runtimes) {
    // The operator chose these modules, so their schemas may use any kind of pattern.
    await schemas.check(null, parametersSchema, {}).catch((error: unknown) => {
      if (!(error instanceof SchemaError)) throw error;
      throw unusable(module, `the parametersSchema of ${name} cannot be used: ${error.message.replace(/\.$/, '')}`);
    });
  }
  return runtimes;
}

function isRuntime(value: unknown): value is Runtime {
  if (!isObject(value)) return false;
  const { name, parametersSchema, reply } = value;
  return typeof name === 'string' && name !== '' && isJsonObject(parametersSchema) && typeof reply === 'function';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function unusable(module: string, why: string): StartupError {
  return new StartupError(`Cannot load ${module} of RUNTIME_MODULES: ${why}.`);
}
