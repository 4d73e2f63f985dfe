import type { Redis } from 'ioredis';
import type pg from 'pg';
import {
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';
import type { Logger } from '../logger.ts';
import type { Viewer } from './viewer.ts';

/** In seconds. */
const WINDOW = 60;

/** How long Redis may take to answer, in milliseconds: every operation waits for it. */
const REDIS_MS = 1000;

/** What a viewer may still ask for in this minute. */
export interface Allowance {
  allowed: boolean;
  limit: number;
  remaining: number;
  /** Seconds until the whole limit is there again. */
  resetSeconds: number;
}

export interface RateLimits {
  /** Counts one operation. Null: there is no limit for this viewer. Never rejects. */
  take(viewer: Viewer): Promise<Allowance | null>;
  close(): Promise<void>;
}

/**
 * So many operations a minute for each API key, and for each person that holds client tokens; 0 is no limit. All servers on
 * one database count together, in Redis where there is one. While the store is away each server counts for itself.
 */
export async function openRateLimits(options: {
  pool: pg.Pool;
  redisUrl: string | null;
  perKey: number;
  perContact: number;
  logger: Logger;
}): Promise<RateLimits> {
  const { pool, redisUrl, perKey, perContact, logger } = options;
  const redis = redisUrl === null || perKey + perContact === 0 ? null : await connect(redisUrl, logger);
  const limiter = (keyPrefix: string, points: number): RateLimiterAbstract | null => {
    if (points === 0) return null;
    const common = { keyPrefix, points, duration: WINDOW };
    const shared = { ...common, inMemoryBlockOnConsumed: points, insuranceLimiter: new RateLimiterMemory(common) };
    return redis
      ? new RateLimiterRedis({ ...shared, storeClient: redis })
      : new RateLimiterPostgres({
          ...shared,
          storeClient: pool,
          storeType: 'pool',
          tableName: 'rate_limit',
          tableCreated: true,
        });
  };
  const limiters = { API_KEY: limiter('key', perKey), CLIENT_TOKEN: limiter('contact', perContact) };

  return {
    async take({ kind, id }) {
      const chosen = limiters[kind];
      if (!chosen) return null;
      try {
        return allowance(chosen, await chosen.consume(id), true);
      } catch (reason) {
        if (reason instanceof RateLimiterRes) return allowance(chosen, reason, false);
        logger.warn({ err: reason }, 'could not count an operation; letting it pass');
        return null;
      }
    },
    async close() {
      await redis?.quit().catch(() => redis.disconnect());
    },
  };
}

function allowance(limiter: RateLimiterAbstract, { remainingPoints, msBeforeNext }: RateLimiterRes, allowed: boolean) {
  return {
    allowed,
    limit: limiter.points,
    remaining: Math.max(0, remainingPoints),
    resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)),
  };
}

async function connect(url: string, logger: Logger): Promise<Redis> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    connectTimeout: REDIS_MS,
    commandTimeout: REDIS_MS,
  });
  redis.on('error', (error) => logger.debug({ err: error }, 'the store of the rate limits is away'));
  // Before that, this server would count for itself. It goes on trying by itself.
  await redis.connect().catch(() => undefined);
  return redis;
}
