import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { newId } from '../../src/ids.ts';
import { ask, subscribeWs, type Target } from '../harness/client.ts';
import { createConversation, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { mayPass } from '../harness/fleet.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { Random } from '../harness/random.ts';
import { openReceiver } from '../harness/receiver.ts';
import { createWebhook } from '../harness/webhooks.ts';

const database = useDatabase();
const programs = usePrograms();
const KEY = 'key-of-the-servers-that-send-webhooks';

const start = (env: Record<string, string> = {}) =>
  programs.start({
    DATABASE_URL: database.url,
    BOOTSTRAP_API_KEY: KEY,
    ALLOW_PRIVATE_ADDRESSES: 'true',
    RATE_LIMIT_PER_KEY: '0',
    LOG_LEVEL: 'warn',
    ...env,
  });
const targetOf = (server: Pick<Program, 'url'>): Target => ({ url: server.url, key: KEY });

const [MESSAGES, CONVERSATIONS, SENDERS, KILL_MS] = [5000, 50, 10, 10_000];

test('a receiver gets every event, verified and in order, while servers are killed every 10 s', async () => {
  const random = new Random(Date.now());
  const servers = await Promise.all([start(), start(), start()]);
  const any = () => targetOf(random.pick(servers));
  /** Again, whenever a server has just been killed. */
  const insist = async <T>(request: (target: Target) => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await request(any());
      } catch (error) {
        if (!mayPass(error)) throw error;
        await sleep(50);
      }
    }
  };
  const receiver = await openReceiver();
  const { secret } = await createWebhook(any(), {
    url: receiver.url,
    selection: '{ conversationId ... on VersionedEvent { version } }',
  });
  receiver.secrets.push(secret);
  const conversations = await Promise.all(
    Array.from(
      { length: CONVERSATIONS },
      async () => (await createConversation(any(), { action: 'NONE' })).conversation.id,
    ),
  );

  let [sent, kills, isOver] = [0, 0, false];
  const killing = (async () => {
    for (;;) {
      for (let waited = 0; waited < KILL_MS && !isOver; waited += 100) await sleep(100);
      if (isOver) return;
      const place = random.pick([0, 1, 2]);
      await servers[place]?.kill('SIGKILL');
      kills += 1;
      servers[place] = await start();
    }
  })();
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      while (sent < MESSAGES) {
        sent += 1;
        const conversationId = random.pick(conversations);
        const input = { conversationId, content: { text: 'Hello' }, action: 'NONE', idempotencyKey: newId() };
        await insist((target) => send(target, input));
        await sleep(60);
      }
    }),
  );
  const { rows } = await database.pool.query<{ events: number }>('SELECT count(*)::int AS events FROM event');
  const events = rows[0]?.events ?? 0;
  const places = new Set<string>();
  const nameOf = (data: Record<string, unknown>) => `${String(data.conversationId)}/${String(data.version)}`;
  let counted = 0;
  await receiver.until((all) => {
    for (; counted < all.length; counted += 1) places.add(nameOf(all[counted]?.payload.data ?? {}));
    return places.size >= events;
  });
  isOver = true;
  await killing;

  const { received } = receiver;
  expect(events).toBe(MESSAGES + CONVERSATIONS);
  expect(places.size).toBe(events);
  expect(received.filter(({ verified }) => !verified)).toEqual([]);
  const last = new Map<unknown, number>();
  const seen = new Set<string>();
  const outOfOrder: string[] = [];
  for (const { payload } of received) {
    const { conversationId, version } = payload.data;
    if (seen.has(nameOf(payload.data))) continue;
    seen.add(nameOf(payload.data));
    if (Number(version) !== (last.get(conversationId) ?? 0) + 1) outOfOrder.push(nameOf(payload.data));
    last.set(conversationId, Number(version));
  }
  expect(outOfOrder).toEqual([]);
  const ids = new Set(received.map(({ id }) => id));
  expect(ids.size).toBe(events);
  console.log(`${events} events, ${kills} kills, ${received.length - ids.size} repeats`);
  await receiver.close();
});

const [OPEN_MS, PAUSE_MS] = [60_000, 500];

test('a transaction that others hold open for a minute delays neither deliveries, live lists nor organizationEvents', async () => {
  const target = targetOf(await start());
  const receiver = await openReceiver();
  await createWebhook(target, { url: receiver.url, events: ['conversation.created'], selection: '{ conversationId }' });
  const lists = subscribeWs<{ conversationChanges: { conversationId: string } }>(
    target,
    'subscription { conversationChanges { conversationId } }',
  );
  const log = subscribeWs<{ organizationEvents: { event: { conversationId: string } } }>(
    target,
    'subscription { organizationEvents { event { conversationId } } }',
  );
  const told = {
    deliveries: new Map<string, number>(),
    lists: new Map<string, number>(),
    log: new Map<string, number>(),
  };
  receiver.answer = ({ payload }, response) => {
    told.deliveries.set(String(payload.data.conversationId), performance.now());
    response.writeHead(204).end();
  };
  void (async () => {
    for await (const { conversationChanges } of lists)
      told.lists.set(conversationChanges.conversationId, performance.now());
  })();
  void (async () => {
    for await (const { organizationEvents } of log)
      told.log.set(organizationEvents.event.conversationId, performance.now());
  })();
  await sleep(1000);
  // The servers of another test may have died a moment ago, and hold their turn until their lease has run out.
  await createConversation(target, { action: 'NONE' });
  await receiver.until(1);
  const measure = async (forMs: number) => {
    const begun = new Map<string, number>();
    for (const until = performance.now() + forMs; performance.now() < until; await sleep(PAUSE_MS)) {
      const { conversation } = await createConversation(target, { action: 'NONE' });
      begun.set(conversation.id, performance.now());
    }
    await sleep(3000);
    return Object.entries(told).map(([what, times]) => {
      const delays = [...begun].map(([id, at]) => (times.get(id) ?? Infinity) - at).sort((a, b) => a - b);
      return { what, p50: delays[Math.floor(delays.length / 2)] ?? 0, worst: delays.at(-1) ?? 0 };
    });
  };
  const before = await measure(10_000);
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT pg_current_xact_id()');
  const during = await measure(OPEN_MS);
  await holder.query('ROLLBACK');
  await holder.end();
  await lists.return();
  await log.return();
  await receiver.close();
  for (const [index, { what, p50, worst }] of during.entries()) {
    const alone = before[index];
    console.log(
      `${what}: p50 ${p50.toFixed(0)} ms, worst ${worst.toFixed(0)} ms; alone ${alone?.p50.toFixed(0)} and ${alone?.worst.toFixed(0)}`,
    );
    expect(worst).toBeLessThan(Infinity);
  }
  expect(await ask(target, '{ webhooks { nodes { status } } }')).toMatchObject({
    webhooks: { nodes: [{ status: 'ON' }, { status: 'ON' }] },
  });
});
