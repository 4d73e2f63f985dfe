import { Redis } from 'ioredis';
import { freePort, startProgram } from './other-program.ts';

export interface FoundRedis {
  url: string;
  /** Ends it if it was started here. */
  release(): Promise<void>;
}

/** REDIS_URL; else the Redis on the usual port; else one started from the `redis-server` program; else nothing. */
export async function findRedis(): Promise<FoundRedis | undefined> {
  const { REDIS_URL: url } = process.env;
  if (url) return { url, release: () => Promise.resolve() };
  const usual = 'redis://127.0.0.1:6379';
  if (await answers(usual)) return { url: usual, release: () => Promise.resolve() };
  return startRedis();
}

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    connectTimeout: 1_000,
    commandTimeout: 1_000,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

async function startRedis(): Promise<FoundRedis | undefined> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = await startProgram('redis-server', args, /Ready to accept/);
  return server && { url: `redis://127.0.0.1:${port}`, release: server.stop };
}
