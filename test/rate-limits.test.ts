import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pool } from '../src/db.ts';
import { createApiKey } from '../src/access/api-keys.ts';
import { mintClientToken } from '../src/access/client-tokens.ts';
import { deleteEnded } from '../src/access/postgres-windows.ts';
import { openRateWindows } from '../src/access/rate-limits.ts';
import { RateWindows, type Reservation, type WindowStore } from '../src/access/rate-windows.ts';
import type { App } from '../src/app.ts';
import type { Config } from '../src/config.ts';
import { createLogger } from '../src/logger.ts';
import { graphql, openSocket, subscribeWs } from './harness/client.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { findRedis } from './harness/redis.ts';
import { startServer } from './harness/server.ts';
import { tcpProxy } from './harness/tcp-proxy.ts';

const database = useBootstrappedDatabase();
const redis = await findRedis();
afterAll(() => redis?.release());

const query = '{ viewer { kind } }';

/** Servers on the database of this file, for the tests of a block. */
function useServers(count: number, config: Partial<Config>): () => readonly App[] {
  const apps: App[] = [];
  beforeAll(async () => {
    // One after the other, so that the first makes the organization.
    while (apps.length < count) apps.push(await startServer(database.url, { config }));
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
      endsWith: [],
      confinedTo: { contactId: contact.id },
      participant: { contactId: contact.id, tokenGeneration: 0 },
      grants: [],
      displayName: null,
      expiresAt: new Date(Date.now() + seconds * 1000),
    });
  return [await mint(600), await mint(700)];
}

async function organizationOf(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM organization ORDER BY created_at LIMIT 1');
  return rows[0]?.id ?? '';
}

function countConversations({ services: { prisma } }: App): Promise<number> {
  return prisma.conversation.count();
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

/** Reads that a client token may ask for too. */
const reads = ['viewer { kind }', ...['conversation', 'message', 'node'].map((name) => `${name}(id: "") { id }`)];

const failing = ['deleteConversation', 'endConversation', 'endHandoff'].map(
  (name) => `${name}(input: { conversationId: "" })`,
);

describe.each([
  ['in the database', null],
  ['in Redis', redis?.url],
])('counted %s', (_where, eventsUrl) => {
  describe.skipIf(eventsUrl === undefined)('a limit of 60 a minute on three servers', () => {
    const servers = useServers(3, {
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

    test('admits 54 to 60, however the operations come to the servers', async () => {
      const { secret } = await newKey(first());
      const outcomes: Outcome[] = [];
      // One after the other, so that each server reserves ahead; then everything to one of them.
      for (let i = 0; i < 45; i += 1) outcomes.push(await overHttp(server(i % 3), secret));
      for (let i = 0; i < 30; i += 1) outcomes.push(await overHttp(first(), secret));
      const { ADMITTED, OTHER } = tally(outcomes);
      expect(ADMITTED).toBeGreaterThanOrEqual(54);
      expect(ADMITTED).toBeLessThanOrEqual(60);
      expect(OTHER).toBe(0);
    });

    test('counts each root field, and refuses before any is executed what does not fit', async () => {
      const [key, [token]] = [await newKey(first()), await newTokens(first())];
      // One field may have at most 20 names: the first 20 create, the others fail.
      const changes = ['createConversation(input: { action: NONE })', ...failing].map(
        (each) => `${each} { __typename }`,
      );
      const many = (count: number) =>
        `mutation { ${repeat(count, (i) => `m${i}: ${changes[Math.floor(i / 20)]}`).join(' ')} }`;
      const before = await countConversations(first());
      const refused = await graphql({ url: first().url, key: key.secret }, many(61));
      expect([refused.status, refused.errors?.[0]?.extensions?.code]).toEqual([429, 'RATE_LIMITED']);
      expect(refused.data).toBeUndefined();
      expect(await countConversations(first())).toBe(before);
      // One was counted when it arrived.
      expect((await graphql({ url: second().url, key: key.secret }, many(20))).status).toBe(200);
      expect(await countConversations(first())).toBe(before + 20);
      expect((await graphql({ url: first().url, key: key.secret }, many(40))).status).toBe(429);
      expect(await countConversations(first())).toBe(before + 20);
      const aliases = repeat(61, (i) => `...on Query { a${i}: ${reads[i % 4]} }`).join(' ');
      const read = await graphql({ url: first().url, key: token }, `{ ${aliases} }`);
      expect(read.status).toBe(429);
      const named = repeat(61, (i) => `a${i}: ${reads[i % 4]}`).join(' ');
      const spread = `{ ...Reads } fragment Reads on Query { ${named} }`;
      expect((await graphql({ url: first().url, key: token }, spread)).status).toBe(429);
      const skipped = repeat(61, (i) => `...on Query @skip(if: true) { a${i}: ${reads[i % 4]} }`).join(' ');
      expect((await graphql({ url: first().url, key: token }, `{ viewer { kind } ${skipped} }`)).status).toBe(200);
    });

    test('counts each root field over WebSocket too', async () => {
      const { secret } = await newKey(first());
      const aliases = repeat(61, (i) => `a${i}: ${reads[i % 4]}`).join(' ');
      const stream = subscribeWs({ url: first().url, key: secret }, `{ ${aliases} }`);
      await expect(stream.next()).rejects.toThrow('RATE_LIMITED');
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
  const servers = useServers(1, { rateLimitPerKey: 0, rateLimitPerContact: 0 });

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
    const windows = await openWindows(proxy.url);
    const take = () => windows.take('a key', 10, 1);
    try {
      expect(await take()).toMatchObject({ allowed: true, remaining: 9 });
      proxy.cut();
      const taken = await Promise.all(repeat(30, take));
      expect(taken.filter(({ allowed }) => allowed)).toHaveLength(10);
      proxy.heal();
      // Of the ten, the database knows one.
      await expect.poll(take, { timeout: 5000 }).toMatchObject({ allowed: true, remaining: 8 });
    } finally {
      await windows.close();
      await proxy.close();
    }
  });
});

describe('a row that is locked', () => {
  test('holds nobody up for as long as that, and other keys not at all', async () => {
    const [windows, holder] = [await openWindows(database.url), await database.pool.connect()];
    try {
      await windows.take('locked', 10, 1);
      await holder.query("BEGIN; SELECT FROM rate_window WHERE key = 'locked' FOR UPDATE");
      const decided: string[] = [];
      const took = (key: string) => windows.take(key, 10, 1).then(({ allowed }) => decided.push(`${key}: ${allowed}`));
      await Promise.all([took('locked'), took('free'), took('another')]);
      // What is locked is decided by what this server has counted itself.
      expect(decided).toEqual(['free: true', 'another: true', 'locked: true']);
      const further = await Promise.all(repeat(20, () => windows.take('locked', 10, 1)));
      expect(further.filter(({ allowed }) => allowed)).toHaveLength(9);
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
      await windows.close();
    }
  });

  test('that is being inserted holds nobody up for as long as that', async () => {
    const [windows, holder] = [await openWindows(database.url), await database.pool.connect()];
    try {
      await holder.query("BEGIN; INSERT INTO rate_window VALUES ('new', 1, now() + interval '1 minute')");
      expect(await windows.take('new', 10, 1)).toMatchObject({ allowed: true });
    } finally {
      await holder.query('ROLLBACK');
      holder.release();
      await windows.close();
    }
  });
});

describe('what is reserved ahead', () => {
  /** A store in memory that notes what it is asked. */
  function recordingStore() {
    const asked: Reservation[] = [];
    let spent = 0;
    const store: WindowStore = {
      reserve(reservations) {
        asked.push(...reservations);
        return Promise.resolve(
          new Map(
            reservations.map(({ key, limit, atLeast, atMost }) => {
              const available = limit - spent;
              const granted = available >= atLeast ? Math.min(atMost, available) : 0;
              spent += granted;
              return [key, { granted, left: available - granted, resetMs: 60_000 }];
            }),
          ),
        );
      },
      close: () => Promise.resolve(),
    };
    return { store, asked };
  }

  test('is at most a twentieth of the limit, and so much that a busy key asks seldom', async () => {
    const { store, asked } = recordingStore();
    const windows = new RateWindows(store, silent);
    for (let count = 0; count < 1000; count += 1) expect((await windows.take('key', 6000, 1)).allowed).toBe(true);
    expect(Math.max(...asked.map(({ atMost }) => atMost))).toBeLessThanOrEqual(300);
    // So often is a row written for a thousand operations of one second.
    expect(asked.length).toBeLessThanOrEqual(25);
    await windows.close();
  });

  test('is nothing for a key that is seldom used', async () => {
    const { store, asked } = recordingStore();
    const windows = new RateWindows(store, silent);
    expect(await windows.take('key', 6000, 1)).toMatchObject({ remaining: 5999 });
    expect(asked).toEqual([{ key: 'key', limit: 6000, atLeast: 1, atMost: 1 }]);
    await windows.close();
  });

  test('does not serve what is too much at once: that takes nothing, and the rest is left for others', async () => {
    const { store, asked } = recordingStore();
    const windows = new RateWindows(store, silent);
    expect(await windows.take('key', 60, 61)).toMatchObject({ allowed: false, remaining: 60 });
    expect(asked).toEqual([]);
    expect(await windows.take('key', 60, 40)).toMatchObject({ allowed: true, remaining: 20 });
    expect(await windows.take('key', 60, 40)).toMatchObject({ allowed: false, remaining: 20 });
    expect(await windows.take('key', 60, 20)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await windows.take('key', 60, 1)).toMatchObject({ allowed: false, remaining: 0 });
    await windows.close();
  });

  test('in the next window begins anew', async () => {
    const { rows } = await database.pool.query<{ past: Date }>("SELECT now() - interval '1 ms' AS past");
    const windows = await openWindows(database.url);
    expect(await windows.take('old', 60, 60)).toMatchObject({ allowed: true, remaining: 0 });
    await database.pool.query("UPDATE rate_window SET ends_at = $1 WHERE key = 'old'", [rows[0]?.past]);
    const later = await openWindows(database.url);
    expect(await later.take('old', 60, 1)).toMatchObject({ allowed: true, remaining: 59, resetSeconds: 60 });
    await Promise.all([windows.close(), later.close()]);
  });

  test('are deleted after their end, however many they are', async () => {
    await database.pool.query(`INSERT INTO rate_window (key, spent, ends_at)
      SELECT 'ended ' || number, 1, now() - interval '1 second' FROM generate_series(1, 25000) AS number
      UNION ALL SELECT 'goes on', 1, now() + interval '1 hour'`);
    await deleteEnded(database.pool, () => false);
    const { rows } = await database.pool.query(
      `SELECT key FROM rate_window WHERE key LIKE 'ended %' OR key = 'goes on'`,
    );
    expect(rows).toEqual([{ key: 'goes on' }]);
  });
});

const silent = createLogger({ level: 'silent' });

function openWindows(databaseUrl: string): Promise<RateWindows> {
  return openRateWindows({ databaseUrl, redisUrl: null, logger: silent });
}
