import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import type { Hint } from '../src/bus/bus.ts';
import { Lease } from '../src/generation/lease.ts';
import { Recovery } from '../src/generation/recovery.ts';
import { Runner } from '../src/generation/runner.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { readMessage, send } from './harness/commands.ts';
import { type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { readLog } from './harness/rows.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

// So long a lease that nobody sweeps but the tests.
const config = { leaseSeconds: 300 };
const { server, runtime, idle } = useScriptedServer({ config });
let other: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  other = await startServer(server.databaseUrl, { config });
});
afterAll(() => other.close());

const logger = createLogger({ level: 'silent' });

/** The sweep of a server that has just come to life. */
function recovery({ services: { pool, bus } }: Pick<typeof other, 'services'>): Recovery {
  const lease = new Lease({ pool, seconds: 5, newId, logger, onLost: () => undefined });
  return new Recovery({ pool, bus, logger, lease, runner: { start: () => undefined } });
}

async function begin(text: string) {
  const { id: conversationId } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { conversationId, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

/** As if the reply's server had died this many seconds after its last sign of life. */
async function orphan(conversationId: string, secondsAgo = 60): Promise<string> {
  const serverId = newId();
  await server.services.pool.query(
    `WITH dead AS (
      INSERT INTO server (id, started_at, expires_at) VALUES ($1, now() - interval '1 day', now() - make_interval(secs => $2))
    )
    UPDATE conversation SET generating_server_id = $1 WHERE id = $3`,
    [serverId, secondsAgo, decodeId('Conversation', conversationId)],
  );
  return serverId;
}

/** Resolves when so many statements wait for a lock. */
async function blocked(count: number): Promise<'blocked'> {
  for (;;) {
    const { rowCount } = await server.services.pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if ((rowCount ?? 0) >= count) return 'blocked';
  }
}

const completions = async (conversationId: string) =>
  (await readLog(server.services.pool, decodeId('Conversation', conversationId) ?? '')).filter(
    ({ type }) => type === 'MessageCompleted',
  );

describe('replies of a server that is gone', () => {
  test('are settled once each, however many servers notice at once', async () => {
    const replies = await Promise.all(Array.from({ length: 12 }, (_, i) => begin(`Orphan ${i}.`)));
    for (const { script } of replies) await script.begin('So far.');
    for (const { replyId } of replies) {
      await record(replyEvents(server, { replyId })).until((events) => textOf(events, replyId) === 'So far.');
    }
    for (const { conversationId } of replies) await orphan(conversationId);
    const sweeps = [server, other, server, other, server, other].map((each) => recovery(each).sweep());
    const counts = await Promise.all(sweeps);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(12);
    for (const { conversationId, replyId } of replies) {
      expect(await completions(conversationId)).toEqual([{ version: 4, type: 'MessageCompleted' }]);
      const reply = await readMessage(server, replyId);
      expect(reply).toMatchObject({ status: 'ERROR', errorDetail: expect.stringContaining('stopped working') });
      expect('So far.'.startsWith(reply.text)).toBe(true);
    }
  });

  test('never grow again, though their server was only slow and goes on talking', async () => {
    const { conversationId, replyId, script } = await begin('Not dead yet.');
    const follower = record(replyEvents(server, { replyId }));
    await script.begin('I am');
    await follower.until((events) => textOf(events, replyId) === 'I am');
    await orphan(conversationId);
    await recovery(other).sweep();
    const settled = await readMessage(server, replyId);
    await script.write(' still');
    await script.aborted;
    await script.write(' here');
    await script.end();
    expect(textOf(await follower.ended(), replyId)).toBe(settled.text);
    const { reply } = await send(server, { conversationId, content: { text: 'Next, after the slow one.' } });
    const next = await runtime.replyTo('Next, after the slow one.');
    await next.begin('Hello.');
    await next.end();
    await record(replyEvents(server, { replyId: reply?.id ?? '' })).ended();
    expect(await readMessage(server, replyId)).toEqual(settled);
  });

  test('are settled too when the row of their server is gone', async () => {
    const { conversationId, replyId } = await begin('Gone without a trace.');
    const serverId = await orphan(conversationId);
    await server.services.pool.query('DELETE FROM server WHERE id = $1', [serverId]);
    expect(await recovery(other).sweep()).toBe(1);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR', text: '', fragments: [] });
  });

  test('are announced to those who follow and to whoever still generates them', async () => {
    const { conversationId, replyId } = await begin('Spread the word.');
    await orphan(conversationId);
    const hints: Hint[] = [];
    const listener = { onHint: (hint: Hint) => void hints.push(hint), onReconnect: () => undefined };
    const unsubscribe = other.services.bus.subscribe(listener);
    await recovery(other).sweep();
    unsubscribe();
    const [uuid, settled] = [decodeId('Conversation', conversationId), decodeId('Message', replyId)];
    expect(hints).toContainEqual({ kind: 'log', conversationId: uuid, version: 4, settled });
  });

  test('leave no row of their server behind', async () => {
    const { conversationId } = await begin('Clean up.');
    const serverId = await orphan(conversationId);
    await recovery(other).sweep();
    const { rowCount } = await server.services.pool.query('SELECT FROM server WHERE id = $1', [serverId]);
    expect(rowCount).toBe(0);
  });

  test('are settled though somebody else is at work on one of them, without waiting for it', async () => {
    const [held, free] = [await begin('Somebody has me.'), await begin('Nobody has me.')];
    for (const { conversationId } of [held, free]) await orphan(conversationId);
    const client = await server.services.pool.connect();
    try {
      await client.query('BEGIN');
      const id = decodeId('Conversation', held.conversationId);
      await client.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [id]);
      expect(await Promise.race([recovery(other).sweep(), blocked(1)])).toBe(1);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    expect(await readMessage(server, free.replyId)).toMatchObject({ status: 'ERROR' });
    expect(await recovery(other).sweep()).toBe(1);
    expect(await readMessage(server, held.replyId)).toMatchObject({ status: 'ERROR' });
  });

  test('leave the row of a server that may be about to renew it', async () => {
    const { conversationId } = await begin('Just late.');
    const serverId = await orphan(conversationId, 1);
    expect(await recovery(other).sweep()).toBe(1);
    const { rowCount } = await server.services.pool.query('SELECT FROM server WHERE id = $1', [serverId]);
    expect(rowCount).toBe(1);
  });

  test('are told to those who follow them elsewhere', async () => {
    const { conversationId, replyId, script } = await begin('Who tells me?');
    const follower = record(replyEvents(other, { replyId }));
    await script.begin('Listen');
    await follower.until((events: readonly Event[]) => textOf(events, replyId) === 'Listen');
    await orphan(conversationId);
    await recovery(server).sweep();
    expect((await follower.ended()).at(-1)).toMatchObject({ message: { status: 'ERROR' } });
  });
});

test('replies of a living server are left alone', async () => {
  const { replyId, script } = await begin('I am fine.');
  expect(await recovery(other).sweep()).toBe(0);
  await script.begin('Fine.');
  await script.end();
  await record(replyEvents(server, { replyId })).ended();
  expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'Fine.' });
});

describe('a lease', () => {
  /** By the clock of its server, in seconds. */
  let now = 0;
  let isCut = false;
  let lost: () => void;
  let lease: Lease;

  beforeEach(() => {
    const { pool } = server.services;
    [now, isCut, lost] = [0, false, () => undefined];
    // Every answer takes three seconds.
    const query = async (question: pg.QueryConfig | string, values?: unknown[]) => {
      if (isCut) throw new Error('cut');
      const result = await pool.query(question, values);
      now += 3;
      return result;
    };
    const slow = Object.create(pool, { query: { value: query } }) as pg.Pool;
    lease = new Lease({ pool: slow, seconds: 30, newId, logger, onLost: () => lost(), now: () => now * 1000 });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'], now: 0 });
  });
  afterEach(async () => {
    isCut = false;
    await lease.stop();
    vi.useRealTimers();
  });

  const rowOf = async (serverId: string) =>
    (
      await server.services.pool.query<{ isFresh: boolean }>(
        `SELECT expires_at > clock_timestamp() + interval '20 s' AND expires_at <= clock_timestamp() + interval '31 s' AS "isFresh"
          FROM server WHERE id = $1`,
        [serverId],
      )
    ).rows;

  test('is held from when it was asked for, however late the answer came', async () => {
    expect(lease.isHeld()).toBe(false);
    await lease.start();
    now = 29.9;
    expect(lease.isHeld()).toBe(true);
    now = 30;
    expect(lease.isHeld()).toBe(false);
    await lease.renew();
    now = 59.9;
    expect(lease.isHeld()).toBe(true);
  });

  test('is renewed three times in its length, by the clock of the database', async () => {
    const renew = vi.spyOn(lease, 'renew');
    await lease.start();
    expect(await rowOf(lease.serverId)).toEqual([{ isFresh: true }]);
    vi.advanceTimersByTime(30_000);
    expect(renew).toHaveBeenCalledTimes(3);
    await lease.renew();
    expect(await rowOf(lease.serverId)).toEqual([{ isFresh: true }]);
  });

  test('is steady once the database was there for all its length, and not for as long after it was away', async () => {
    await lease.start();
    now = 20;
    await lease.renew();
    expect(lease.isSteady()).toBe(false);
    now = 30;
    expect(lease.isSteady()).toBe(true);
    isCut = true;
    await lease.renew();
    expect(lease.isSteady()).toBe(false);
    isCut = false;
    now = 40;
    await lease.renew();
    now = 69;
    expect(lease.isSteady()).toBe(false);
    now = 70;
    expect(lease.isSteady()).toBe(true);
  });

  test('lets its server sweep only once it is steady', async () => {
    const { pool, bus } = server.services;
    const recovery = new Recovery({ pool, bus, logger, lease, runner: { start: () => undefined } });
    const sweep = vi.spyOn(recovery, 'sweep').mockResolvedValue(0);
    const adopt = vi.spyOn(recovery, 'adopt').mockResolvedValue();
    await lease.start();
    recovery.start();
    vi.advanceTimersByTime(30_000);
    expect(adopt).not.toHaveBeenCalled();
    now = 30;
    vi.advanceTimersByTime(30_000);
    await recovery.stop();
    expect(sweep).toHaveBeenCalled();
  });

  test('that others have ended is taken anew under another name, and its replies are dropped', async () => {
    const { services, key } = server;
    const { pool, bus, runtimes } = services;
    const viewer = await findViewerByKey(pool, key);
    if (!viewer) throw new Error('The server has no first key.');
    const runner = new Runner({ pool, bus, lease, logger, newId, runtimes, silenceSeconds: 300, historyBytes: 65_536 });
    lost = () => runner.fenceAll();
    await lease.start();
    const first = lease.serverId;
    const { id: conversationId } = await idle();
    const text = 'Whose are you?';
    const input = { conversationId, content: { text }, action: 'GENERATE_REPLY', onBusy: 'REJECT' } as const;
    await sendMessage({ ...services, runner, serverId: () => lease.serverId }, viewer, { ...input, awaitReply: false });
    const script = await runtime.replyTo(text);
    await pool.query('DELETE FROM server WHERE id = $1', [first]);
    await lease.renew();
    await script.aborted;
    expect(lease.serverId).not.toBe(first);
    expect(await rowOf(lease.serverId)).toEqual([{ isFresh: true }]);
    await script.end();
    await runner.stop(0);
    expect(await recovery(other).sweep()).toBe(1);
  });
});

describe('a reply whose claim was not answered', () => {
  /** By the clock of its server, in seconds. */
  let now = 0;
  let lease: Lease;
  let runner: Runner;
  let recovery: Recovery;

  beforeEach(async () => {
    const { pool, bus, runtimes } = server.services;
    now = 0;
    lease = new Lease({ pool, seconds: 30, newId, logger, onLost: () => undefined, now: () => now * 1000 });
    runner = new Runner({ pool, bus, lease, logger, newId, runtimes, silenceSeconds: 300, historyBytes: 65_536 });
    recovery = new Recovery({ pool, bus, lease, runner, logger });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await lease.start();
  });
  afterEach(async () => {
    await recovery.stop();
    await runner.stop(0);
    await lease.stop();
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  /** Sends on this server, whose database commits the claim and does not say so. */
  async function claim(text: string) {
    const { services, key } = server;
    const { pool } = services;
    const viewer = await findViewerByKey(pool, key);
    if (!viewer) throw new Error('The server has no first key.');
    const query = async (question: pg.QueryConfig) => {
      await pool.query(question);
      throw new Error('cut');
    };
    const losing = Object.create(pool, { query: { value: query } }) as pg.Pool;
    const { id: conversationId } = await idle();
    const input = { conversationId, content: { text }, action: 'GENERATE_REPLY', onBusy: 'REJECT' } as const;
    const owned = { ...services, pool: losing, runner, serverId: () => lease.serverId };
    await expect(sendMessage(owned, viewer, { ...input, awaitReply: false })).rejects.toThrow('cut');
    const { runningReplyId } = await services.prisma.conversation.findUniqueOrThrow({
      where: { id: decodeId('Conversation', conversationId) ?? '' },
    });
    return { conversationId, replyId: encodeId('Message', runningReplyId ?? '') };
  }

  test('is generated by its server once that looks for it, and ends once', async () => {
    const living = await begin('You are being looked after.');
    const start = vi.spyOn(runner, 'start');
    const reply = vi.spyOn(runtime, 'reply');
    const { conversationId, replyId } = await claim('Is anybody there?');
    expect(start).not.toHaveBeenCalled();
    recovery.start();
    now = 30;
    await lease.renew();
    vi.advanceTimersByTime(30_000);
    const script = await runtime.replyTo('Is anybody there?');
    // It has said nothing yet, so it is found again; neither then nor later is it begun again.
    await recovery.adopt();
    await script.begin('I am.');
    const resume = await runner.suspend(decodeId('Message', replyId) ?? '');
    resume();
    await recovery.adopt();
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    expect(await completions(conversationId)).toEqual([{ version: 4, type: 'MessageCompleted' }]);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'I am.' });
    expect(reply).toHaveBeenCalledTimes(1);
    // The replies of another server are not looked for.
    expect(new Set(start.mock.calls.map(([each]) => each.replyId))).toEqual(new Set([decodeId('Message', replyId)]));
    await living.script.end();
  });

  const forget = (serverId: string) => server.services.pool.query('DELETE FROM server WHERE id = $1', [serverId]);

  test.each<[string, () => unknown]>([
    ['run out', () => (now = 30)],
    ['been taken anew', () => forget(lease.serverId).then(() => lease.renew())],
  ])('is left to others by a server whose lease has %s while it looked', async (how, meanwhile) => {
    const { pool, bus } = server.services;
    const { replyId } = await claim(`Whom do I wait for, if it has ${how}?`);
    const owner = lease.serverId;
    const query = async (question: pg.QueryConfig) => {
      const answer = await pool.query(question);
      await meanwhile();
      return answer;
    };
    const slow = Object.create(pool, { query: { value: query } }) as pg.Pool;
    const start = vi.spyOn(runner, 'start');
    await new Recovery({ pool: slow, bus, lease, runner, logger }).adopt();
    expect(start).not.toHaveBeenCalled();
    await forget(owner);
    expect(await recovery.sweep()).toBe(1);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR', text: '' });
  });
});

test('a server renews its lease while its requests have taken all its connections', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const busy = await startServer(server.databaseUrl, { config: { ...config, databasePoolSize: 3 } });
  const { services } = busy;
  const taken = await Promise.all(Array.from({ length: 3 }, () => services.pool.connect()));
  const expiresAt = async () => {
    const id = services.serverId();
    return (await server.services.prisma.server.findUniqueOrThrow({ where: { id } })).expiresAt.getTime();
  };
  try {
    const first = await expiresAt();
    vi.advanceTimersByTime((config.leaseSeconds * 1000) / 3);
    await expect.poll(expiresAt, { timeout: 10_000 }).toBeGreaterThan(first);
  } finally {
    for (const client of taken) client.release();
    await busy.close();
    vi.useRealTimers();
  }
});
