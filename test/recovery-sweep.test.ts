import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Pool } from '../src/db.ts';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import type { Hint } from '../src/bus/hints.ts';
import { Recovery } from '../src/generation/recovery.ts';
import { type Runner } from '../src/generation/runner.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { Shutdown } from '../src/shutdown-deadline.ts';
import { createRunner } from './harness/runner.ts';
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

/** The lease of a server that only looks, and never takes anything on. */
const onlooker = { seconds: 30, serverId: newId(), isHeld: () => true };

/** The sweep of a server that has just come to life. */
function recovery({ services: { pool, bus } }: Pick<typeof other, 'services'>, now?: () => number): Recovery {
  return new Recovery({ pool, bus, logger, lease: onlooker, runner: { start: () => undefined }, ...(now && { now }) });
}

async function begin(text: string) {
  const { id: conversationId } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { conversationId, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

/** As if others had declared the reply's server dead. */
async function orphan(conversationId: string): Promise<void> {
  await server.services.pool.query('UPDATE conversation SET generating_server_id = $1 WHERE id = $2', [
    newId(),
    decodeId('Conversation', conversationId),
  ]);
}

/** A server of which there is no more than a row, as the release before would write it when told so; it owns the reply. */
async function silent(conversationId: string, row: { expiresIn?: string; leaseSeconds?: number | null } = {}) {
  const { expiresIn = '0', leaseSeconds = 30 } = row;
  const serverId = newId();
  await server.services.pool.query(
    `WITH silent AS (INSERT INTO server (id, expires_at, lease_seconds) VALUES ($1, now() + $2::interval, $3))
    UPDATE conversation SET generating_server_id = $1 WHERE id = $4`,
    [serverId, expiresIn, leaseSeconds, decodeId('Conversation', conversationId)],
  );
  return {
    serverId,
    exists: async () => {
      const { rowCount } = await server.services.pool.query('SELECT FROM server WHERE id = $1', [serverId]);
      return rowCount === 1;
    },
    /** Shows a sign of life. The time in it does not matter. */
    renew: () => server.services.pool.query('UPDATE server SET expires_at = expires_at WHERE id = $1', [serverId]),
  };
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

  test('are announced to those who follow and to whoever still generates them', async () => {
    const { conversationId, replyId } = await begin('Spread the word.');
    await orphan(conversationId);
    const hints: Hint[] = [];
    const listener = { onHint: (hint: Hint) => void hints.push(hint), onReconnect: () => undefined };
    const unsubscribe = other.services.bus.subscribe(listener);
    await recovery(other).sweep();
    unsubscribe();
    const [uuid, settled] = [decodeId('Conversation', conversationId), decodeId('Message', replyId)];
    expect(hints).toContainEqual(expect.objectContaining({ kind: 'log', conversationId: uuid, version: 4, settled }));
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

describe('a server whose row stands still', () => {
  /** By the clock of the server that looks, in seconds. */
  let now = 0;
  let observer: Recovery;
  beforeEach(() => {
    now = 0;
    observer = recovery(other, () => now * 1000);
  });

  /** Looks four times in a lease, for so many seconds. */
  async function watch(seconds: number, meanwhile: () => Promise<unknown> = async () => undefined) {
    for (const end = now + seconds; now < end; now += 7.5) {
      await observer.look();
      await meanwhile();
    }
    await observer.look();
  }

  test('for a lease is dead: its row goes, and its replies are settled', async () => {
    const { conversationId, replyId } = await begin('Dead?');
    const { exists } = await silent(conversationId);
    await watch(22.5);
    expect(await exists()).toBe(true);
    await watch(7.5);
    expect(await exists()).toBe(false);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR' });
  });

  test.each([
    ['an hour ahead', '-1 hour'],
    ['an hour back', '1 hour'],
  ])(
    'for less than a lease lives, and later is dead, also with the clock of the database %s',
    async (_how, expiresIn) => {
      const { conversationId, replyId, script } = await begin(`By what clock? ${expiresIn}`);
      const { exists, renew } = await silent(conversationId, { expiresIn });
      await watch(90, renew);
      expect(await exists()).toBe(true);
      await watch(37.5);
      expect(await exists()).toBe(false);
      expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR' });
      await script.aborted;
    },
  );

  test('is given the lease that it says it has, and the own one when it says none', async () => {
    const [patient, plain] = [await begin('Patient.'), await begin('Plain.')];
    const long = await silent(patient.conversationId, { leaseSeconds: 60 });
    const none = await silent(plain.conversationId, { leaseSeconds: null });
    await watch(30);
    expect([await long.exists(), await none.exists()]).toEqual([true, false]);
    await watch(30);
    expect(await long.exists()).toBe(false);
  });

  test('while the database was away is not blamed for it', async () => {
    const { conversationId } = await begin('Who was away?');
    const { exists } = await silent(conversationId);
    await watch(7.5);
    // Nobody could write; the look was late, but did not fail.
    now += 29;
    await watch(0);
    expect(await exists()).toBe(true);
    now += 3600;
    await watch(22.5);
    expect(await exists()).toBe(true);
    await watch(7.5);
    expect(await exists()).toBe(false);
  });

  test('is not blamed for looks that failed', async () => {
    const { conversationId } = await begin('Who saw me?');
    const { exists } = await silent(conversationId);
    const { pool, bus } = other.services;
    let isCut = false;
    const query = (question: pg.QueryConfig) => (isCut ? Promise.reject(new Error('cut')) : pool.query(question));
    const cut = Object.create(pool, { query: { value: query } }) as Pool;
    const runner = { start: () => undefined };
    observer = new Recovery({ pool: cut, bus, logger, lease: onlooker, runner, now: () => now * 1000 });
    await watch(22.5);
    isCut = true;
    await observer.look();
    isCut = false;
    await watch(22.5);
    expect(await exists()).toBe(true);
    await watch(7.5);
    expect(await exists()).toBe(false);
  });

  test('never judges itself', async () => {
    const { conversationId } = await begin('Myself?');
    const { serverId, exists } = await silent(conversationId);
    const { pool, bus } = other.services;
    const lease = { ...onlooker, serverId };
    observer = new Recovery({ pool, bus, logger, lease, runner: { start: () => undefined }, now: () => now * 1000 });
    await watch(120);
    expect(await exists()).toBe(true);
    observer = recovery(other, () => now * 1000);
    await watch(30);
  });

  test('lives on when it shows a sign of life at the last moment', async () => {
    const { conversationId } = await begin('At the last moment.');
    const { serverId, exists } = await silent(conversationId);
    await watch(22.5);
    const client = await server.services.pool.connect();
    await client.query('BEGIN');
    await client.query('UPDATE server SET expires_at = expires_at WHERE id = $1', [serverId]);
    const judged = watch(7.5);
    await blocked(1);
    await client.query('COMMIT');
    client.release();
    await judged;
    expect(await exists()).toBe(true);
    await watch(30);
    expect(await exists()).toBe(false);
  });

  test('is swept only by one that has had the database for a lease itself', async () => {
    const { conversationId } = await begin('Swept when?');
    await orphan(conversationId);
    const sweep = vi.spyOn(observer, 'sweep');
    await watch(22.5);
    expect(sweep).not.toHaveBeenCalled();
    await watch(7.5);
    expect(sweep).toHaveBeenCalledTimes(1);
  });
});

describe('a reply whose claim was not answered', () => {
  /** A server that lives, as its row says. */
  let lease: { seconds: number; serverId: string; isHeld: () => boolean };
  let runner: Runner;
  let recovery: Recovery;

  beforeEach(async () => {
    const { pool, bus, runtimes } = server.services;
    lease = { seconds: 30, serverId: newId(), isHeld: () => true };
    await register(lease.serverId);
    runner = createRunner({ pool, bus, lease, runtimes });
    recovery = new Recovery({ pool, bus, lease, runner, logger });
  });
  afterEach(async () => {
    await runner.stop(new Shutdown(60), { operations: Promise.resolve(), graceMs: 0, settleMs: 3000 });
    await forget(lease.serverId);
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
    const losing = Object.create(pool, { query: { value: query } }) as Pool;
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
    await recovery.adopt();
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
  const register = (serverId: string) =>
    server.services.pool.query('INSERT INTO server (id, expires_at) VALUES ($1, now())', [serverId]);

  test.each<[string, () => unknown]>([
    ['run out', () => (lease.isHeld = () => false)],
    ['been taken anew', () => (lease.serverId = newId())],
  ])('is left to others by a server whose lease has %s while it looked', async (how, meanwhile) => {
    const { pool, bus } = server.services;
    const { replyId } = await claim(`Whom do I wait for, if it has ${how}?`);
    const owner = lease.serverId;
    const query = async (question: pg.QueryConfig) => {
      const answer = await pool.query(question);
      await meanwhile();
      return answer;
    };
    const slow = Object.create(pool, { query: { value: query } }) as Pool;
    const start = vi.spyOn(runner, 'start');
    await new Recovery({ pool: slow, bus, lease, runner, logger }).adopt();
    expect(start).not.toHaveBeenCalled();
    await forget(owner);
    expect(await recovery.sweep()).toBe(1);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR', text: '' });
  });
});
