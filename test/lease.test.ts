import { afterEach, describe, expect, test } from 'vitest';
import { Lease, type LeaseOptions } from '../src/generation/lease.ts';
import { MainLoopWatch } from '../src/generation/main-loop-watch.ts';
import { newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { createConversation } from './harness/commands.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';
import { tcpProxy } from './harness/tcp-proxy.ts';

const { url: databaseUrl, pool } = useBootstrappedDatabase();
const logger = createLogger({ level: 'silent' });

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function take(options: Partial<LeaseOptions> = {}): Lease {
  const lease = new Lease({ databaseUrl, seconds: 30, newId, logger, onLost: () => undefined, ...options });
  opened.push(() => lease.stop());
  return lease;
}

/** The row of a server, which is another one after each sign of life. */
async function versionOf(serverId: string): Promise<string | undefined> {
  const sql = 'SELECT xmin::text AS version FROM server WHERE id = $1 AND lease_seconds IS NOT NULL';
  return (await pool.query<{ version: string }>(sql, [serverId])).rows[0]?.version;
}

/** Keeps the main loop from turning, as work would, but leaves the processor to others. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

describe('a lease', () => {
  test('is held from its start to its end, and leaves no row behind', async () => {
    const lease = take();
    expect(lease.isHeld()).toBe(false);
    expect(() => lease.claimant()).toThrow('takes nothing on');
    await lease.start();
    expect(lease.isHeld()).toBe(true);
    expect(lease.claimant()).toBe(lease.serverId);
    expect(await versionOf(lease.serverId)).toBeDefined();
    await lease.stop();
    expect(lease.isHeld()).toBe(false);
    expect(await versionOf(lease.serverId)).toBeUndefined();
  });

  test('is renewed and held by a server whose event loop is busy for longer than it', async () => {
    const lease = take({ seconds: 2 });
    await lease.start();
    const before = await versionOf(lease.serverId);
    block(2500);
    expect(lease.isHeld()).toBe(true);
    expect(await versionOf(lease.serverId)).not.toBe(before);
  });

  test('tells of an event loop that did not turn for over a second', async () => {
    const lags: number[] = [];
    const lease = take({ onLag: (milliseconds) => lags.push(milliseconds) });
    await lease.start();
    block(1300);
    await expect.poll(() => lags.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(lags[0]).toBeGreaterThan(1000);
  });

  test('is renewed over a new connection when the one it has is open and silent', async () => {
    const proxy = await tcpProxy(databaseUrl);
    opened.push(() => proxy.close());
    const lease = take({ databaseUrl: proxy.url, seconds: 3 });
    await lease.start();
    const before = await versionOf(lease.serverId);
    proxy.silence();
    await expect.poll(() => versionOf(lease.serverId), { timeout: 20_000 }).not.toBe(before);
    expect(lease.isHeld()).toBe(true);
  });

  test('whose row others have removed is taken anew under another name, once its replies are dropped', async () => {
    const names: string[] = [];
    const lease = take({ seconds: 3, onLost: () => names.push(lease.serverId) });
    await lease.start();
    const first = lease.serverId;
    await pool.query('DELETE FROM server WHERE id = $1', [first]);
    await expect.poll(() => lease.serverId !== first && lease.isHeld(), { timeout: 20_000 }).toBe(true);
    expect(names).toEqual([first]);
    expect(await versionOf(first)).toBeUndefined();
    expect(await versionOf(lease.serverId)).toBeDefined();
  });

  test('that cannot be taken says why, and is given up in time', async () => {
    const proxy = await tcpProxy(databaseUrl);
    opened.push(() => proxy.close());
    proxy.cut();
    const lease = take({ databaseUrl: proxy.url, seconds: 1 });
    await expect(lease.start()).rejects.toThrow(/^Cannot take a lease: /);
    await lease.stop();
  });

  test('that has run out keeps its server from taking anything on, and from being ready', async () => {
    const proxy = await tcpProxy(databaseUrl);
    opened.push(() => proxy.close());
    const server = await startServer(proxy.url, { config: { leaseSeconds: 2 } });
    opened.push(() => server.close());
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    // As of a lease whose worker can reach nothing, while the requests' connections work.
    await pool.query('ALTER TABLE server RENAME TO server_away');
    opened.push(() => pool.query('ALTER TABLE IF EXISTS server_away RENAME TO server'));
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 20_000 }).toBe(503);
    const refused = createConversation(server, { message: { content: { text: 'Hello?' } } });
    await expect(refused).rejects.toMatchObject({
      errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }],
    });
    await pool.query('ALTER TABLE server_away RENAME TO server');
    await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 20_000 }).toBe(200);
  });
});

test('a server that others have declared dead aborts its replies, and takes new ones under another name', async () => {
  const runtime = new ScriptedRuntime();
  const server = await startServer(databaseUrl, { config: { leaseSeconds: 3 }, runtimes: [runtime] });
  opened.push(() => server.close());
  const agentId = await createAgent(server.services, 'scripted');
  const first = server.services.serverId();
  await createConversation(server, { agentId, message: { content: { text: 'Who are you?' } } });
  const script = await runtime.replyTo('Who are you?');
  await pool.query('DELETE FROM server WHERE id = $1', [first]);
  await script.aborted;
  await expect.poll(async () => (await fetch(`${server.url}/ready`)).status, { timeout: 20_000 }).toBe(200);
  const { reply } = await createConversation(server, { agentId, message: { content: { text: 'And now?' } } });
  expect(reply).toMatchObject({ status: 'IN_PROGRESS' });
  expect(server.services.serverId()).not.toBe(first);
});

describe('the watch over the main loop', () => {
  function watched() {
    let asked = 0;
    const watch = new MainLoopWatch({ ask: () => (asked += 1), limitMs: 15_000, now: 0 });
    return { watch, asked: () => asked };
  }

  test('finds it hung once it has not answered for the limit', () => {
    const { watch, asked } = watched();
    const ticks = Array.from({ length: 200 }, (_, i) => watch.tick((i + 1) * 100));
    expect(asked()).toBe(1);
    expect(ticks.indexOf(true)).toBe(150);
  });

  test('waits anew after each answer', () => {
    const { watch, asked } = watched();
    for (let i = 1; i <= 400; i += 1) {
      expect(watch.tick(i * 100)).toBe(false);
      if (i % 100 === 0) watch.answered();
    }
    expect(asked()).toBe(4);
  });

  test('does not take a process that was stopped as a whole for one that hangs', () => {
    const { watch } = watched();
    watch.tick(100);
    expect(watch.tick(3_600_000)).toBe(false);
    watch.answered();
    expect(watch.tick(3_600_100)).toBe(false);
  });
});
