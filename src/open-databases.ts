import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import type { Config } from './config.ts';
import { openDatabase, openPool, poolLimits, type PrismaClient } from './db.ts';
import type { PoolLimits } from './limited-pool.ts';
import { ListeningPool } from './listening-pool.ts';
import { ensureDatabase, startEmbeddedPostgres } from './postgres/embedded.ts';
import { migrate } from './postgres/migrate.ts';
import type { Startup } from './startup.ts';

/** Of the package, beside `src` and `dist`. */
const migrationsDirectory = fileURLToPath(new URL('../prisma/migrations', import.meta.url));

/** The database and the ways to it: however many requests wait, replies go on, and those without an owner are found. */
export interface Databases {
  url: string;
  /** Past a pooler, where there is one. */
  directUrl: string;
  /** For what clients ask. */
  pool: pg.Pool;
  /** On the same pool. */
  prisma: PrismaClient;
  /** To find replies without an owner. */
  vital: pg.Pool;
  /** For the beginnings and ends of replies. */
  replies: pg.Pool;
  /** For the text of running replies. */
  checkpoints: pg.Pool;
  /** For taking jobs from the queue. */
  queue: pg.Pool;
  /** For what jobs do. */
  jobs: pg.Pool;
}

/** Starts the embedded PostgreSQL when no other is set, brings the database up to date, and opens the pools. */
export async function openDatabases(config: Config, startup: Startup): Promise<Databases> {
  const url = config.databaseUrl ?? (await openEmbedded(config, startup));
  const directUrl = config.databaseDirectUrl ?? url;
  const migrations = await migrate(directUrl, migrationsDirectory);
  startup.step(migrations.length > 0 ? `Applied ${migrations.length} migrations` : 'The database is up to date');

  const onIdleError = (error: Error) => startup.logger.warn({ err: error }, 'lost an idle database connection');
  const pooler = config.databasePooler === 'transaction';
  const requests = { ...poolLimits.requests, size: config.databasePoolSize, pooler };
  const { pool, prisma, ...database } = openDatabase(url, requests, onIdleError);
  startup.onClose(() => database.close());
  const openOwn = (ownUrl: string, limits: PoolLimits, Pool?: typeof ListeningPool) => {
    const own = openPool(ownUrl, limits, onIdleError, Pool);
    startup.onClose(() => own.end());
    return own;
  };
  return {
    url,
    directUrl,
    pool,
    prisma,
    vital: openOwn(directUrl, { ...poolLimits.checkpoints, size: 1 }),
    replies: openOwn(url, { ...poolLimits.replies, pooler }),
    checkpoints: openOwn(url, { ...poolLimits.checkpoints, pooler }),
    queue: openOwn(directUrl, poolLimits.queue, ListeningPool),
    jobs: openOwn(url, { ...poolLimits.jobs, pooler }),
  };
}

async function openEmbedded({ dataDir }: Config, startup: Startup): Promise<string> {
  const folder = join(dataDir, 'postgres');
  const postgres = await startEmbeddedPostgres({
    dataDir: folder,
    durable: true,
    log: (line) => startup.logger.info(line),
    signal: startup.signal,
  });
  startup.onClose(() => postgres.stop());
  const url = postgres.url('parley');
  await ensureDatabase(url);
  startup.step(`PostgreSQL runs on ${folder}`);
  return url;
}
