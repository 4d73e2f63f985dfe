import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApiKey } from '../src/access/api-keys.ts';
import { mintClientToken } from '../src/access/client-tokens.ts';
import { openRateLimits } from '../src/access/rate-limits.ts';
import type { Viewer } from '../src/access/viewer.ts';
import type { App } from '../src/app.ts';
import type { Config } from '../src/config.ts';
import { createLogger } from '../src/logger.ts';
import { graphql, openSocket } from './harness/client.ts';
import { useDatabase } from './harness/database.ts';
import { findRedis } from './harness/redis.ts';
import { startServer } from './harness/server.ts';
import { tcpProxy } from './harness/tcp-proxy.ts';

const database = useDatabase();
const redis = await findRedis();
afterAll(() => redis?.release());

const query = '{ viewer { kind } }';

/** Two servers on the database of this file, for the tests of a block. */
function useTwoServers(config: Partial<Config>): () => readonly App[] {
  let apps: readonly App[] = [];
  beforeAll(async () => {
    // One after the other, so that the first makes the organization.
    apps = [await startServer(database.url, { config }), await startServer(database.url, { config })];
  });
  afterAll(() => Promise.all(apps.map((app) => app.close())));
  return () => apps;
}

interface Credential {
  id: string;
  secret: string;
}

/** A key that has asked for nothing yet. */
async function newKey({ services: { pool, newId } }: App): Promise<Credential> {
  return createApiKey(pool, newId, { organizationId: await organizationOf(pool), name: 'A key' });
}

/** Two tokens of one person who has asked for nothing yet. */
async function newTokens({ services: { pool, prisma, newId } }: App): Promise<[string, string]> {
  const organizationId = await organizationOf(pool);
  const contact = await prisma.contact.create({ data: { id: newId(), organizationId } });
  const mint = (seconds: number) =>
    mintClientToken(pool, {
      organizationId,
      keyId: null,
      confinedTo: { contactId: contact.id },
      expiresAt: new Date(Date.now() + seconds * 1000),
    });
  return [await mint(600), await mint(700)];
}

async function organizationOf(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM organization ORDER BY created_at LIMIT 1');
  return rows[0]?.id ?? '';
}

/** What became of one operation. */
type Outcome = 'ADMITTED' | 'RATE_LIMITED' | 'OTHER';

async function overHttp(app: App, key: string): Promise<Outcome> {
  const { status, data, errors } = await graphql<{ viewer: unknown }>({ url: app.url, key }, query);
  if (status === 200 && data?.viewer) return 'ADMITTED';
  return status === 429 && errors?.[0]?.extensions?.code === 'RATE_LIMITED' ? 'RATE_LIMITED' : 'OTHER';
}

/** So many operations at once on one WebSocket. */
async function overWebSocket(app: App, key: string, count: number): Promise<Outcome[]> {
  const socket = openSocket({ url: app.url, key });
  const one = () =>
    new Promise<Outcome>((resolve) => {
      socket.subscribe<{ viewer: unknown }>(
        { query },
        {
          next: ({ data }) => resolve(data?.viewer ? 'ADMITTED' : 'OTHER'),
          error: (error) => {
            const [fault] = Array.isArray(error) ? (error as { extensions?: Record<string, unknown> }[]) : [];
            const { code, retryAfter } = fault?.extensions ?? {};
            resolve(code === 'RATE_LIMITED' && typeof retryAfter === 'number' ? 'RATE_LIMITED' : 'OTHER');
          },
          complete: () => resolve('OTHER'),
        },
      );
    });
  const outcomes = await Promise.all(Array.from({ length: count }, one));
  await socket.dispose();
  return outcomes;
}

function repeat<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

function tally(outcomes: readonly Outcome[]): Record<Outcome, number> {
  const of = (kind: Outcome) => outcomes.filter((outcome) => outcome === kind).length;
  return { ADMITTED: of('ADMITTED'), RATE_LIMITED: of('RATE_LIMITED'), OTHER: of('OTHER') };
}

const half = { ADMITTED: 60, RATE_LIMITED: 60, OTHER: 0 };

describe.each([
  ['in the database', null],
  ['in Redis', redis?.url],
])('counted %s', (_where, eventsUrl) => {
  describe.skipIf(eventsUrl === undefined)('a limit of 60 a minute on two servers', () => {
    const servers = useTwoServers({
      rateLimitPerKey: 60,
      rateLimitPerContact: 60,
      ...(eventsUrl != null && { eventsUrl }),
    });
    const [first, second] = [() => server(0), () => server(1)];
    const server = (index: number) => {
      const app = servers()[index];
      if (!app) throw new Error('The servers exist only while tests run.');
      return app;
    };

    test('admits 60 of 120 simultaneous operations over HTTP', async () => {
      const { secret } = await newKey(first());
      const outcomes = await Promise.all(repeat(120, (i) => overHttp(server(i % 2), secret)));
      expect(tally(outcomes)).toEqual(half);
    });

    test('admits 60 of 120 simultaneous operations over HTTP and WebSocket together', async () => {
      const { secret } = await newKey(first());
      const [http, ...sockets] = await Promise.all([
        Promise.all(repeat(60, (i) => overHttp(server(i % 2), secret))),
        overWebSocket(first(), secret, 30),
        overWebSocket(second(), secret, 30),
      ]);
      expect(tally([...http, ...sockets.flat()])).toEqual(half);
    });

    test('is one for all tokens of a person, and another one for each key and each other person', async () => {
      const [own, another] = await newTokens(first());
      const [stranger] = await newTokens(first());
      const [key, otherKey] = [await newKey(first()), await newKey(first())];
      const shared = await Promise.all(repeat(120, (i) => overHttp(server(i % 2), i % 4 < 2 ? own : another)));
      expect(tally(shared)).toEqual(half);
      const used = await Promise.all(repeat(70, () => overHttp(first(), key.secret)));
      expect(tally(used)).toEqual({ ADMITTED: 60, RATE_LIMITED: 10, OTHER: 0 });
      expect(await overHttp(second(), key.secret)).toBe('RATE_LIMITED');
      expect(await overHttp(second(), otherKey.secret)).toBe('ADMITTED');
      expect(await overHttp(first(), stranger)).toBe('ADMITTED');
    });

    test('is told with every answer, and with when to try again once it is used up', async () => {
      const { secret } = await newKey(first());
      const post = (app: App) =>
        fetch(`${app.url}/graphql`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` },
          body: JSON.stringify({ query }),
        });
      for (const [app, remaining] of [
        [first(), 59],
        [second(), 58],
      ] as const) {
        const { status, headers } = await post(app);
        expect(status).toBe(200);
        expect(headers.get('RateLimit-Limit')).toBe('60');
        expect(headers.get('RateLimit-Remaining')).toBe(String(remaining));
        expect(Number(headers.get('RateLimit-Reset'))).toBeGreaterThan(0);
        expect(Number(headers.get('RateLimit-Reset'))).toBeLessThanOrEqual(60);
        expect(headers.get('Retry-After')).toBeNull();
      }
      await Promise.all(repeat(58, () => overHttp(first(), secret)));
      // The server that counted the last one knows it by heart; the other asks the store.
      for (const app of [first(), second()]) {
        const refused = await post(app);
        expect(refused.status).toBe(429);
        expect(refused.headers.get('RateLimit-Limit')).toBe('60');
        expect(refused.headers.get('RateLimit-Remaining')).toBe('0');
        const retryAfter = Number(refused.headers.get('Retry-After'));
        expect(retryAfter).toBeGreaterThan(0);
        expect(retryAfter).toBeLessThanOrEqual(60);
        expect(refused.headers.get('RateLimit-Reset')).toBe(String(retryAfter));
        const body: unknown = await refused.json();
        expect(body).toMatchObject({ errors: [{ extensions: { code: 'RATE_LIMITED', retryAfter } }] });
        expect(body).not.toHaveProperty('data');
      }
    });
  });
});

describe('a limit of 0', () => {
  const servers = useTwoServers({ rateLimitPerKey: 0, rateLimitPerContact: 0 });

  test('is none, and is not told of', async () => {
    const [app] = servers();
    if (!app) throw new Error('no server');
    const { secret } = await newKey(app);
    const [token] = await newTokens(app);
    const outcomes = await Promise.all(repeat(200, (i) => overHttp(app, i % 2 ? secret : token)));
    expect(tally(outcomes)).toEqual({ ADMITTED: 200, RATE_LIMITED: 0, OTHER: 0 });
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` },
      body: JSON.stringify({ query }),
    });
    expect([...response.headers.keys()].filter((name) => name.startsWith('ratelimit'))).toEqual([]);
  });
});

describe('while the store is away', () => {
  test.skipIf(!redis).each(['cut', 'silence'] as const)(
    'each server counts for itself and refuses only what is too much (Redis: %s)',
    async (fault) => {
      const proxy = await tcpProxy(redis?.url ?? '');
      const app = await startServer(database.url, { config: { eventsUrl: proxy.url, rateLimitPerKey: 10 } });
      try {
        const { secret } = await newKey(app);
        expect(await overHttp(app, secret)).toBe('ADMITTED');
        proxy[fault]();
        const outcomes = await Promise.all(repeat(30, () => overHttp(app, secret)));
        expect(tally(outcomes)).toEqual({ ADMITTED: 10, RATE_LIMITED: 20, OTHER: 0 });
      } finally {
        proxy.cut();
        await app.close();
        await proxy.close();
      }
    },
  );

  test('each server counts for itself and refuses only what is too much (the database)', async () => {
    const proxy = await tcpProxy(database.url);
    const pool = new pg.Pool({ connectionString: proxy.url });
    pool.on('error', () => undefined);
    const logger = createLogger({ level: 'silent' });
    const limits = await openRateLimits({ pool, redisUrl: null, perKey: 10, perContact: 0, logger });
    const viewer: Viewer = {
      kind: 'API_KEY',
      id: `key:${randomUUID()}`,
      organizationId: randomUUID(),
      actor: { kind: 'SYSTEM' },
      scopes: ['read'],
      keyId: null,
      expiresAt: null,
      contactId: null,
      confinedTo: null,
    };
    try {
      expect(await limits.take(viewer)).toMatchObject({ allowed: true, remaining: 9 });
      proxy.cut();
      const taken = await Promise.all(repeat(30, () => limits.take(viewer)));
      expect(taken.filter((allowance) => allowance?.allowed)).toHaveLength(10);
      proxy.heal();
      expect(await limits.take(viewer)).toMatchObject({ allowed: true, remaining: 8 });
    } finally {
      await limits.close();
      await pool.end();
      await proxy.close();
    }
  });
});
