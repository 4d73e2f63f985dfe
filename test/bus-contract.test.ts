import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Bus, Hint } from '../src/bus/hints.ts';
import { chooseBus } from '../src/bus/choose.ts';
import { inProcessBus } from '../src/bus/in-process.ts';
import type { Listeners } from '../src/bus/listeners.ts';
import { postgresBus } from '../src/bus/postgres.ts';
import { redisBus } from '../src/bus/redis.ts';
import { createLogger, type Logger } from '../src/logger.ts';
import { useDatabase } from './harness/database.ts';
import { findRedis } from './harness/redis.ts';
import { tcpProxy, type TcpProxy } from './harness/tcp-proxy.ts';

/** What the suite needs of an adapter. */
interface Carrier {
  /** The bus of one more server. */
  open(options?: BusOptions): Bus;
}

interface BusOptions {
  through?: TcpProxy;
  logger?: Logger;
  probeEveryMs?: number;
  timeLimitMs?: number;
}

interface NetworkCarrier extends Carrier {
  url(): string;
  /** Sends a raw payload on the channel. */
  say(payload: string): Promise<void>;
  /** Has the server cut every connection of the buses. */
  cutAll(): Promise<void>;
  /** How many connections of the buses the server has. */
  countConnections(): Promise<number>;
}

const silent = createLogger({ level: 'silent' });
const redis = await findRedis();
const noRedis = 'skipped: REDIS_URL is unset, nothing answers on 127.0.0.1:6379, and there is no redis-server program';
if (!redis) console.warn(`The event bus on Redis is ${noRedis}.`);

describe('the event bus in one process', () => {
  const group = new Set<Listeners>();
  keepsTheContract({ open: () => inProcessBus({ logger: silent, group }) });

  it('is chosen by memory:', async () => {
    const bus = await chooseBus({ eventsUrl: 'memory:', databaseUrl: 'postgres://127.0.0.1:1/none', logger: silent });
    await bus.connect();
    expect(bus.isConnected()).toBe(true);
  });
});

describe('the event bus on PostgreSQL', () => {
  const database = useDatabase();
  let admin: pg.Client;
  const ours = `FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'parley-events'`;

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
  });
  afterAll(() => admin.end());

  const carrier: NetworkCarrier = {
    url: () => database.url,
    open: ({ through, ...options } = {}) =>
      postgresBus({ connectionString: through?.url ?? database.url, logger: silent, ...options }),
    async say(payload) {
      await admin.query(`SELECT pg_notify('parley', $1)`, [payload]);
    },
    async cutAll() {
      await admin.query(`SELECT pg_terminate_backend(pid) ${ours}`);
    },
    async countConnections() {
      const { rowCount } = await admin.query(`SELECT ${ours}`);
      return rowCount ?? 0;
    },
  };
  keepsTheContract(carrier);
  survivesTheNetwork(carrier);
});

describe.skipIf(!redis)(`the event bus on Redis${redis ? '' : ` (${noRedis})`}`, () => {
  const url = redis?.url ?? '';
  const channel = `parley-test:${randomUUID()}`;
  const admin = new Redis(url, { lazyConnect: true });

  beforeAll(() => admin.connect());
  afterAll(async () => {
    await admin.quit();
    await redis?.release();
  });

  async function clientIds(): Promise<string[]> {
    const list = String(await admin.client('LIST'));
    return list
      .split('\n')
      .flatMap((line) => (line.includes(` name=${channel} `) ? [/\bid=(\d+)/.exec(line)?.[1] ?? ''] : []));
  }

  const carrier: NetworkCarrier = {
    url: () => url,
    open: ({ through, ...options } = {}) => redisBus({ url: through?.url ?? url, channel, logger: silent, ...options }),
    async say(payload) {
      await admin.publish(channel, payload);
    },
    async cutAll() {
      for (const id of await clientIds()) await admin.client('KILL', 'ID', id);
    },
    countConnections: async () => (await clientIds()).length,
  };
  keepsTheContract(carrier);
  survivesTheNetwork(carrier);
});

function keepsTheContract(carrier: Carrier): void {
  const open = opener(carrier);

  it('brings a hint to all other servers, and to its own listeners at once and only once', async () => {
    const [a, b, c] = [await open(), await open(), await open()];
    const hints: Hint[] = [
      { kind: 'log', conversationId: 'conv_1', version: 7, settled: 'msg_1' },
      { kind: 'log', conversationId: 'conv_2', version: 0 },
      { kind: 'fragments', conversationId: 'conv_1', messageId: 'msg_2' },
      textHint({ text: 'Hello', offset: 3 }),
      { kind: 'revoked', keyId: 'key_1' },
    ];
    for (const hint of hints) a.bus.publish(hint);
    expect(a.heard).toEqual(hints);
    await Promise.all([b, c].map((server) => server.until(() => server.heard.length === hints.length)));
    expect(b.heard).toEqual(hints);
    expect(c.heard).toEqual(hints);

    b.bus.publish(logHint(8));
    await a.until(() => a.heard.length > hints.length);
    expect(a.heard).toEqual([...hints, logHint(8)]);
  });

  it('keeps the order of a sender', async () => {
    const [a, b] = [await open(), await open()];
    const hints = Array.from({ length: 2_000 }, (_, i) => logHint(i, `conv_${i % 7}`));
    for (const hint of hints) a.bus.publish(hint);
    await b.until(() => b.heard.length >= hints.length);
    expect(b.heard).toEqual(hints);
  });

  it('keeps text in order with what else happens to its conversation', async () => {
    const [a, b] = [await open(), await open()];
    const committed: Hint = { kind: 'fragments', conversationId: 'conv_1', messageId: 'msg_1' };
    for (const offset of [0, 1, 2]) a.bus.publish(textHint({ text: 'x', offset }));
    a.bus.publish(committed);
    for (const offset of [0, 1, 2]) a.bus.publish(textHint({ text: 'y', offset, fragment: 1 }));
    a.bus.publish(logHint(9));
    await b.until(() => b.heard.at(-1)?.kind === 'log');
    expect(b.heard.indexOf(b.heard.find(({ kind }) => kind === 'fragments') ?? logHint(0))).toBe(
      b.heard.findLastIndex((hint) => hint.kind === 'text' && hint.fragment === 0) + 1,
    );
    expect(joined(b.heard, 0)).toBe('xxx');
    expect(joined(b.heard, 1)).toBe('yyy');
  });

  it.each([0, 1, 2, 3])('carries long text intact, with emoji at the borders of its pieces (%i)', async (shift) => {
    const [a, b] = [await open(), await open()];
    const text = '.'.repeat(shift) + '😀'.repeat(40_000) + '字"\\\n\u0001'.repeat(10_000);
    a.bus.publish(textHint({ text, offset: 5 }));
    a.bus.publish(logHint(1));
    await b.until(() => b.heard.at(-1)?.kind === 'log');
    expect(joined(b.heard, 0, 5) === text).toBe(true);
    for (const hint of b.heard) if (hint.kind === 'text') expect(hint.text.isWellFormed()).toBe(true);
  });

  it('does not let one listener disturb another, and ends a subscription', async () => {
    const [a, b] = [await open(), await open()];
    const ended = vi.fn();
    b.bus.subscribe({ onHint: ended, onReconnect: ended })();
    b.bus.subscribe({
      onHint: () => {
        throw new Error('a fault in a listener');
      },
      onReconnect: () => undefined,
    });
    const late = listen(b.bus);
    a.bus.publish(logHint(1));
    await late.until(() => late.heard.length === 1);
    expect(b.heard).toEqual([logHint(1)]);
    expect(() => {
      b.bus.publish(logHint(2));
    }).not.toThrow();
    expect(ended).not.toHaveBeenCalled();
  });

  it('sends what waits before it closes', async () => {
    const b = await open();
    const bus = carrier.open();
    expect(bus.isConnected()).toBe(false);
    await bus.connect();
    expect(bus.isConnected()).toBe(true);
    bus.publish(logHint(1));
    await bus.close();
    expect(bus.isConnected()).toBe(false);
    await b.until(() => b.heard.length === 1);
    expect(b.heard).toEqual([logHint(1)]);
  });
}

function survivesTheNetwork(carrier: NetworkCarrier): void {
  const open = opener(carrier);

  async function openProxy(): Promise<TcpProxy> {
    const proxy = await tcpProxy(carrier.url());
    onTestFinished(() => proxy.close());
    return proxy;
  }

  it('ignores malformed messages on the channel', async () => {
    const a = await open();
    const good = { kind: 'log', conversationId: 'conv_1', version: 3 };
    await carrier.say('not JSON');
    await carrier.say('null');
    await carrier.say(JSON.stringify({ hints: [good] }));
    await carrier.say(JSON.stringify({ sender: 'x', hints: good }));
    await carrier.say(
      JSON.stringify({
        sender: 'x',
        hints: [
          null,
          'log',
          { ...good, version: '3' },
          { ...good, version: -1 },
          { ...good, kind: 'of-the-future' },
          { kind: 'text', conversationId: 'conv_1', messageId: 'msg_1', fragment: 0, offset: 0.5, text: '' },
          { ...good, unknown: 'field' },
        ],
      }),
    );
    await a.until(() => a.heard.length > 0);
    expect(a.heard).toEqual([good]);
  });

  it('comes back after the server cut its connection, and says so', async () => {
    const [a, b] = [await open(), await open()];
    await carrier.cutAll();
    await Promise.all([a, b].map((server) => server.until(() => server.reconnects() === 1)));
    expect(a.bus.isConnected()).toBe(true);
    a.bus.publish(logHint(1));
    await b.until(() => b.heard.length === 1);
    b.bus.publish(logHint(2));
    await a.until(() => a.heard.length === 2);
    expect(a.heard).toEqual([logHint(1), logHint(2)]);
  });

  it('notices a connection that fell silent', async () => {
    const proxy = await openProxy();
    const a = await open({ through: proxy, probeEveryMs: 20, timeLimitMs: 500 });
    const b = await open();
    proxy.silence();
    await a.until(() => a.reconnects() === 1);
    b.bus.publish(logHint(1));
    await a.until(() => a.heard.length === 1);
  });

  it('neither throws nor grows without bound while it is cut, and complains once', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'info', plain: false, destination: { write: (line) => lines.push(line) } });
    const proxy = await openProxy();
    const a = await open({ through: proxy, logger });
    const b = await open();
    proxy.cut();
    await vi.waitUntil(() => !a.bus.isConnected(), { interval: 1 });
    const text = 'x'.repeat(10_000);
    for (let i = 0; i < 2_000; i += 1) a.bus.publish(textHint({ text, offset: 0, conversationId: `conv_${i}` }));
    a.bus.publish(logHint(1));
    proxy.heal();
    await b.until(() => b.heard.at(-1)?.kind === 'log');
    expect(joined(b.heard).length).toBeLessThanOrEqual(1_048_576);
    expect(b.heard.filter((hint) => 'conversationId' in hint && hint.conversationId === 'conv_1999')).not.toEqual([]);
    expect(lines.map((line) => /"level":"(\w+)".*"msg":"([^"]*)"/.exec(line)?.slice(1))).toEqual([
      ['warn', 'the event bus is cut: readers fall back to polling'],
      ['info', 'the event bus is back'],
    ]);
  });

  it('refuses to connect to nothing, and connects when asked again', async () => {
    const proxy = await openProxy();
    const bus = carrier.open({ through: proxy });
    onTestFinished(() => bus.close());
    proxy.cut();
    await expect(bus.connect()).rejects.toThrow(/ECONN|terminated|closed/);
    proxy.heal();
    await bus.connect();
    expect(bus.isConnected()).toBe(true);
  });

  it('holds nothing open after it was closed, in health or while cut: the process ends by itself', async () => {
    const script = new URL('harness/close-buses.ts', import.meta.url).pathname;
    const args = ['--import', 'tsx', script, carrier.url()];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 8_000 });
    expect(stdout).toBe('closed');
  }, 10_000);

  it('leaves no connection at the server', async () => {
    const bus = carrier.open();
    await bus.connect();
    expect(await carrier.countConnections()).toBeGreaterThan(0);
    await bus.close();
    await vi.waitUntil(async () => (await carrier.countConnections()) === 0);
  });
}

/** Opens connected servers that are closed after each test. */
function opener(carrier: Carrier) {
  const buses: Bus[] = [];
  afterEach(() => Promise.all(buses.splice(0).map((bus) => bus.close())));
  return async (options?: BusOptions) => {
    const bus = carrier.open(options);
    buses.push(bus);
    await bus.connect();
    return { bus, ...listen(bus) };
  };
}

function listen(bus: Bus) {
  const heard: Hint[] = [];
  const checks = new Set<() => void>();
  let reconnects = 0;
  const changed = () => {
    for (const check of checks) check();
  };
  bus.subscribe({
    onHint(hint) {
      heard.push(hint);
      changed();
    },
    onReconnect() {
      reconnects += 1;
      changed();
    },
  });
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!done()) return;
        checks.delete(check);
        resolve();
      };
      checks.add(check);
      check();
    });
  return { heard, reconnects: () => reconnects, until };
}

function logHint(version: number, conversationId = 'conv_1'): Hint {
  return { kind: 'log', conversationId, version };
}

function textHint(hint: { text: string; offset: number; fragment?: number; conversationId?: string }): Hint {
  return { kind: 'text', conversationId: 'conv_1', messageId: 'msg_1', fragment: 0, ...hint };
}

/** The text of all hints of a fragment, which must follow each other without a gap from `offset` on. */
function joined(hints: Hint[], fragment = 0, offset?: number): string {
  let text = '';
  for (const hint of hints) {
    if (hint.kind !== 'text' || hint.fragment !== fragment) continue;
    if (offset !== undefined) expect(hint.offset).toBe(offset + text.length);
    text += hint.text;
  }
  return text;
}
