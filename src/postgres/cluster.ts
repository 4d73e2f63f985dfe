import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../errors.ts';
import { type Account, canReach, firstBarrier, isRoot, serviceAccount } from './account.ts';
import { createCluster, type Creation } from './create-cluster.ts';
import { errorCode } from './error-code.ts';
import { locatePrograms, type Programs } from './programs.ts';

/** A PostgreSQL data directory, and what is needed to run it. */
export interface Cluster {
  /** The path under which it is looked for. */
  path: string;
  /** The real path, without symbolic links. */
  folder: string;
  logFile: string;
  programs: Programs;
  /** The account that PostgreSQL runs as. Undefined: that of this process. */
  account: Account | undefined;
}

/**
 * The cluster at `<dataDir>/data`, created if missing. For root it may be elsewhere, with a symbolic link
 * there. Any number of processes may call this at the same time: the first to finish wins, and all get its cluster.
 * @throws an Error that says what to do if the cluster cannot be created, read or run.
 */
export async function openCluster(
  dataDir: string,
  options: Pick<Creation, 'durable' | 'log' | 'signal'>,
): Promise<Cluster> {
  const path = join(dataDir, 'data');
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.W_OK);
  } catch (cause) {
    throw new StartupError(`Cannot write to ${dataDir} (${errorCode(cause)}). Set DATA_DIR to a folder of your own.`, {
      cause,
    });
  }
  let found = findCluster(path);
  const account = found ? ownerOf(found.folder) : isRoot() ? serviceAccount() : undefined;
  const programs = await locatePrograms(account);
  if (!found) {
    const failure = await createCluster(path, { ...options, account, programs }).catch((error: unknown) => error);
    found = findCluster(path);
    // The creation may have failed because another process was first.
    if (!found) throw failure;
  }
  if (found.version !== programs.majorVersion) {
    throw new StartupError(
      `The data in ${path} is of PostgreSQL ${found.version}, and this Parley brings ${programs.majorVersion}. Dump it ` +
        'with the Parley that wrote it and load the dump into a new DATA_DIR, or set DATABASE_URL to another server.',
    );
  }
  if (account && !canReach(account, found.folder)) {
    throw new StartupError(
      `The data in ${found.folder} belongs to the user with the id ${account.uid}, who may not enter ` +
        `${firstBarrier(account, found.folder)}. Run \`chmod o+x\` on that folder, or set DATA_DIR to another one.`,
    );
  }
  return { path, folder: found.folder, logFile: join(dataDir, 'server.log'), programs, account };
}

function findCluster(path: string): { folder: string; version: string } | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })) return undefined;
  try {
    const folder = realpathSync(path);
    if (readdirSync(folder).length === 0) return undefined;
    return { folder, version: readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim() };
  } catch (cause) {
    if (errorCode(cause) === 'EACCES') {
      const owner = statSync(path, { throwIfNoEntry: false })?.uid ?? 'unknown';
      throw new StartupError(
        `The data in ${path} belongs to another user (id ${owner}). Run Parley as that user, or set DATA_DIR to a folder of your own.`,
        { cause },
      );
    }
    if (lstatSync(path).isSymbolicLink()) {
      throw new StartupError(
        `${path} links to data that is gone. Restore it, or remove the link to start with an empty database.`,
        { cause },
      );
    }
    throw new StartupError(`${path} holds something else than PostgreSQL's data. Move it away, or set DATA_DIR.`, {
      cause,
    });
  }
}

/** A cluster runs as its owner, as PostgreSQL requires. */
function ownerOf(folder: string): Account | undefined {
  if (!isRoot()) return undefined;
  const { uid, gid } = statSync(folder);
  if (uid !== 0) return { uid, gid };
  throw new StartupError(
    `The data in ${folder} belongs to root, and PostgreSQL does not run as root. ` +
      `Give it to the user who is to run it, as with \`chown -R postgres ${folder}\`.`,
  );
}
