import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Logger } from '../logger.ts';
import { STORE_MS, WINDOW_MS, type WindowStore } from './rate-windows.ts';

/** Keeps rate limits in Redis, with one script. Connects and reconnects by itself. */
export async function redisWindows(options: { url: string; logger: Logger }): Promise<WindowStore> {
  const redis = await connect(options.url, options.logger);
  return {
    async reserve(asked) {
      const keys = asked.map(({ key }) => `parley:limit:${key}`);
      const numbers = asked.flatMap(({ limit, atLeast, atMost }) => [limit, atLeast, atMost]);
      const answers = answersSchema.parse(await redis.eval(reserve, keys.length, ...keys, ...numbers));
      return new Map(
        asked.flatMap(({ key }, index) => {
          const [granted, left, resetMs] = answers[index] ?? [];
          return granted === undefined || left === undefined || resetMs === undefined
            ? []
            : [[key, { granted, left, resetMs }] as const];
        }),
      );
    },
    async close() {
      await redis.quit().catch(() => redis.disconnect());
    },
  };
}

const answersSchema = z.array(z.tuple([z.int(), z.int(), z.int()]));

const reserve = /* lua */ `
local answers = {}
for i, key in ipairs(KEYS) do
  local limit, atLeast, atMost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local available = math.max(0, limit - tonumber(redis.call('GET', key) or '0'))
  local granted = 0
  if available >= atLeast then granted = math.min(atMost, available) end
  local reset = redis.call('PTTL', key)
  if reset < 0 then
    reset = ${WINDOW_MS}
    if granted > 0 then redis.call('SET', key, granted, 'PX', reset) end
  elseif granted > 0 then
    redis.call('INCRBY', key, granted)
  end
  answers[i] = { granted, available - granted, reset }
end
return answers`;

async function connect(url: string, logger: Logger): Promise<Redis> {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    connectTimeout: STORE_MS,
    commandTimeout: STORE_MS,
  });
  redis.on('error', (error) => logger.debug({ err: error }, 'the store of the rate limits is away'));
  // Until connected, this server would count alone. The client keeps trying if this fails.
  await redis.connect().catch(() => undefined);
  return redis;
}
