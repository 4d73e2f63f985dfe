import { afterAll, describe, test } from 'vitest';
import { findRedis } from '../harness/redis.ts';
import { talkThroughChaos, throughChaos, useChaosStage } from '../harness/talk-through-chaos.ts';

const redis = await findRedis();
const noRedis = 'skipped: REDIS_URL is unset, nothing answers on 127.0.0.1:6379, and there is no redis-server program';
if (!redis) console.warn(`Chaos among servers with Redis between them is ${noRedis}.`);
afterAll(() => redis?.release());

const stage = useChaosStage();

// A machine that starves a live server for a whole lease makes it one that died: that is tried once more.
describe('servers with PostgreSQL between them', { retry: 1 }, () => {
  const fleet = stage.useFleet();

  test(`three ${throughChaos}`, () => talkThroughChaos(stage, fleet, { servers: 3, talks: 40 }));
});

describe.skipIf(!redis)(`servers with Redis between them${redis ? '' : ` (${noRedis})`}`, { retry: 1 }, () => {
  const fleet = stage.useFleet(() => redis?.url ?? '');

  test(`two ${throughChaos}`, () => talkThroughChaos(stage, fleet, { servers: 2, talks: 12 }));
});
