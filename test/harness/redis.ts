import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';

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
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
    server.once('error', () => resolve());
  });
  const ready = (async () => {
    for await (const line of createInterface(server.stdout)) if (line.includes('Ready to accept')) return true;
    return false;
  })();
  if (!(await Promise.race([ready, ended.then(() => false)]))) return undefined;
  server.stdout.resume();
  return {
    url: `redis://127.0.0.1:${port}`,
    async release() {
      server.kill();
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('not a TCP port');
  return address.port;
}
