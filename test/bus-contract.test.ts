import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Bus, Hint } from '../src/bus/hints.ts';
import { chooseBus } from '../src/bus/choose.ts';
import { inProcessBus, type Member } from '../src/bus/in-process.ts';
import { Channels } from '../src/bus/channels.ts';
import { natsBus } from '../src/bus/nats.ts';
import { postgresBus } from '../src/bus/postgres.ts';
import { redisBus } from '../src/bus/redis.ts';
import { ofConversation, ofOrganization } from '../src/bus/topics.ts';
import { createLogger, type Logger } from '../src/logger.ts';
import { useDatabase } from './harness/database.ts';
import { findNats } from './harness/nats.ts';
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
  /** The names of the channels. */
  channels: Channels;
  /** Sends a raw payload on a channel. */
  say(channel: string, payload: string): Promise<void>;
  /** Has the server cut every connection of the buses. Left out: it has no such command. */
  cutAll?: () => Promise<void>;
  /** Whether a send waits for the answer to the one before. */
  sendsInTurn?: boolean;
  /** How many connections of the buses the server has. Left out: it does not tell. */
  countConnections?: () => Promise<number>;
}

/** A key of this run alone, since other runs may use the same Redis or NATS. */
const KEY = randomUUID();

const silent = createLogger({ level: 'silent' });
const redis = await findRedis();
const noRedis = 'skipped: REDIS_URL is unset, nothing answers on 127.0.0.1:6379, and there is no redis-server program';
if (!redis) console.warn(`The event bus on Redis is ${noRedis}.`);
const nats = await findNats();
const noNats = 'skipped: NATS_URL is unset, nothing answers on 127.0.0.1:4222, and there is no nats-server program';
if (!nats) console.warn(`The event bus on NATS is ${noNats}.`);

describe('the event bus in one process', () => {
  const group = new Set<Member>();
  keepsTheContract({ open: () => inProcessBus({ logger: silent, group }) });

  it('is chosen by memory:', async () => {
    const bus = await chooseBus({
      eventsUrl: 'memory:',
      databaseUrl: 'postgres://127.0.0.1:1/none',
      key: KEY,
      logger: silent,
    });
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
    channels: new Channels(KEY, 128),
    sendsInTurn: true,
    open: ({ through, ...options } = {}) =>
      postgresBus({ connectionString: through?.url ?? database.url, key: KEY, logger: silent, ...options }),
    async say(channel, payload) {
      await admin.query(`SELECT pg_notify($1, $2)`, [channel, payload]);
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
  const ours = `parley-test-${randomUUID()}`;
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
      .flatMap((line) => (line.includes(` name=${ours} `) ? [/\bid=(\d+)/.exec(line)?.[1] ?? ''] : []));
  }

  const carrier: NetworkCarrier = {
    url: () => url,
    channels: new Channels(KEY),
    open: ({ through, ...options } = {}) =>
      redisBus({ url: through?.url ?? url, key: KEY, name: ours, logger: silent, ...options }),
    async say(channel, payload) {
      await admin.publish(`parley:${channel}`, payload);
    },
    async cutAll() {
      for (const id of await clientIds()) await admin.client('KILL', 'ID', id);
    },
    countConnections: async () => (await clientIds()).length,
  };
  keepsTheContract(carrier);
  survivesTheNetwork(carrier);
});

describe.skipIf(!nats)(`the event bus on NATS${nats ? '' : ` (${noNats})`}`, () => {
  const url = nats?.url ?? '';
  afterAll(() => nats?.release());

  const carrier: NetworkCarrier = {
    url: () => url,
    channels: new Channels(KEY),
    open: ({ through, ...options } = {}) => natsBus({ url: through?.url ?? url, key: KEY, logger: silent, ...options }),
    async say(channel, payload) {
      const admin = await connect({ servers: new URL(url).host });
      admin.publish(`parley.${channel}`, payload);
      await admin.drain();
    },
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
      revoked,
    ];
    for (const hint of hints) a.bus.publish(hint);
    expect(a.heard).toEqual(hints);
    await Promise.all([b, c].map((server) => server.until(() => server.heard.length === hints.length)));
    expect(b.heard.toSorted(byName)).toEqual(hints.toSorted(byName));
    expect(c.heard.toSorted(byName)).toEqual(hints.toSorted(byName));

    b.bus.publish(logHint(8));
    await a.until(() => a.heard.length > hints.length);
    expect(a.heard).toEqual([...hints, logHint(8)]);
  });

  it('keeps the order of a sender within a conversation', async () => {
    const [a, b] = [await open(), await open()];
    const hints = Array.from({ length: 2_000 }, (_, i) => logHint(i, `conv_${i % 7}`));
    for (const hint of hints) a.bus.publish(hint);
    await b.until(() => b.heard.length >= hints.length);
    expect(b.heard.toSorted(byName)).toEqual(hints.toSorted(byName));
  });

  it('brings a hint to those who have joined one of its topics, until they leave', async () => {
    const a = await open();
    const bus = carrier.open();
    onTestFinished(() => bus.close());
    await bus.connect();
    const b = listen(bus);
    const ofAcme = ofOrganization('acme');
    const [twice, again] = [bus.join(ofAcme), bus.join(ofAcme)];
    await Promise.all([twice.joined, again.joined]);
    const hint = (version: number): Hint => ({
      kind: 'log',
      conversationId: 'conv_of_acme',
      organizationId: 'acme',
      version,
    });
    a.bus.publish(hint(1));
    await b.until(() => b.heard.length === 1);
    twice.leave();
    twice.leave();
    a.bus.publish(hint(2));
    await b.until(() => b.heard.length === 2);
    again.leave();
    a.bus.publish(hint(3));
    a.bus.publish(revoked);
    await b.until(() => b.heard.some(({ kind }) => kind === 'revoked'));
    expect(b.heard.slice(0, 2)).toEqual([hint(1), hint(2)]);
    expect(b.heard.at(-1)).toEqual(revoked);
    expect(b.heard.length).toBeLessThanOrEqual(4);
  });

  it('has a joiner miss nothing of what is published once it has joined', async () => {
    const [a, b] = [await open(), await open()];
    for (let i = 0; i < 50; i += 1) {
      const id = `conv_joined_${i}`;
      const membership = b.bus.join(ofConversation(id));
      await membership.joined;
      a.bus.publish(logHint(i, id));
      await b.until(() => b.heard.some((hint) => nameOf(hint) === id));
      membership.leave();
    }
  });

  it('has a joiner miss nothing although another has joined and left just before', async () => {
    const [a, b] = [await open(), await open()];
    for (let i = 0; i < 50; i += 1) {
      const id = `conv_joined_again_${i}`;
      b.bus.join(ofConversation(id)).leave();
      await b.bus.join(ofConversation(id)).joined;
      a.bus.publish(logHint(i, id));
      await b.until(() => b.heard.some((hint) => nameOf(hint) === id));
    }
  });

  it('brings a hint no further than it is meant to go', async () => {
    const [a, b] = [await open(), await open()];
    a.bus.publish(logHint(1), 'HERE');
    a.bus.publish(logHint(2), 'ELSEWHERE');
    a.bus.publish(logHint(3));
    await b.until(() => b.heard.length === 2);
    expect(a.heard).toEqual([logHint(1), logHint(3)]);
    expect(b.heard).toEqual([logHint(2), logHint(3)]);
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

  it('ignores what is malformed, and what is not signed for its channel', async () => {
    const a = await open();
    const { channels } = carrier;
    const control = channels.of('control');
    const good: Hint = { kind: 'log', conversationId: 'conv_1', version: 3 };
    const payload = (hints: unknown) => JSON.stringify({ sender: 'x', hints });
    const forged = new Channels('another key').sign(control, payload([good]));
    const misplaced = channels.sign(channels.of(ofConversation('conv_2')), payload([good]));
    for (const bad of ['', '{', payload([good]), forged, misplaced]) await carrier.say(control, bad);
    const signed = ['', '{', '[]', 'null', '"text"', '{"sender":"x"}', payload(good), payload([null, 'log'])];
    for (const bad of signed) await carrier.say(control, channels.sign(control, bad));
    const hints = [
      { ...good, version: '3' },
      { ...good, version: -1 },
      { ...good, kind: 'of-the-future' },
      { kind: 'text', conversationId: 'conv_1', messageId: 'msg_1', fragment: 0, offset: 0.5, text: '' },
      { ...good, unknown: 'field' },
    ];
    await carrier.say(control, channels.sign(control, payload(hints)));
    await a.until(() => a.heard.length > 0);
    expect(a.heard).toEqual([good]);
  });

  it.skipIf(!carrier.cutAll)('comes back after the server cut its connection, and says so', async () => {
    const [a, b] = [await open(), await open()];
    await carrier.cutAll?.();
    await Promise.all([a, b].map((server) => server.until(() => server.reconnects() === 1)));
    expect(a.bus.isConnected()).toBe(true);
    a.bus.publish(logHint(1));
    await b.until(() => b.heard.length === 1);
    b.bus.publish(logHint(2));
    await a.until(() => a.heard.length === 2);
    expect(a.heard).toEqual([logHint(1), logHint(2)]);
  });

  it.skipIf(carrier.sendsInTurn)(
    'sends on before what it has sent is answered, and joins what waits beyond a limit',
    async () => {
      const proxy = await openProxy();
      const [a, b] = [await open({ through: proxy, timeLimitMs: 60_000 }), await open()];
      const letAnswer = proxy.holdAnswers();
      const text = 'x';
      for (let offset = 0; offset < 16; offset += 1) {
        a.bus.publish(textHint({ text, offset }));
        await b.until(() => b.heard.length === offset + 1);
      }
      for (let offset = 16; offset < 40; offset += 1) {
        a.bus.publish(textHint({ text, offset }));
        await setImmediate();
      }
      expect(b.heard).toHaveLength(16);
      letAnswer();
      await b.until(() => joined(b.heard).length === 40);
      expect(b.heard).toHaveLength(17);
    },
  );

  it('keeps little of what is not answered, and drops the oldest of what waits for it', async () => {
    const proxy = await openProxy();
    const [a, b] = [await open({ through: proxy, timeLimitMs: 60_000 }), await open()];
    const ids = Array.from({ length: 10 }, (_, i) => `conv_large_${i}`);
    await joinAll(b.bus, ids);
    const letAnswer = proxy.holdAnswers();
    const text = 'x'.repeat(300_000);
    for (const conversationId of ids) {
      a.bus.publish(textHint({ text, offset: 0, conversationId }));
      await setImmediate();
    }
    letAnswer();
    await b.until(() => b.heard.some((hint) => nameOf(hint) === ids.at(-1)));
    expect(joined(b.heard).length).toBeLessThan(2.5 * 1_048_576);
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
    await joinAll(
      b.bus,
      Array.from({ length: 2_000 }, (_, i) => `conv_${i}`),
    );
    for (let i = 0; i < 2_000; i += 1) a.bus.publish(textHint({ text, offset: 0, conversationId: `conv_${i}` }));
    a.bus.publish(logHint(1));
    proxy.heal();
    const heardOf = (id: string) => b.heard.some((hint) => nameOf(hint) === id);
    await b.until(() => heardOf('conv_1') && heardOf('conv_1999'));
    expect(joined(b.heard).length).toBeLessThanOrEqual(1_048_576);
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
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 });
    expect(stdout).toBe('closed');
  });

  it('hears what it joined while it was cut', async () => {
    const proxy = await openProxy();
    const a = await open({ through: proxy });
    const b = await open();
    proxy.cut();
    await vi.waitUntil(() => !a.bus.isConnected(), { interval: 1 });
    await a.bus.join(ofConversation('conv_joined_in_the_dark')).joined;
    proxy.heal();
    await a.until(() => a.reconnects() === 1);
    b.bus.publish(logHint(1, 'conv_joined_in_the_dark'));
    await a.until(() => a.heard.length === 1);
  });

  it.skipIf(!carrier.countConnections)('leaves no connection at the server', async () => {
    const bus = carrier.open();
    await bus.connect();
    expect(await carrier.countConnections?.()).toBeGreaterThan(0);
    await bus.close();
    await vi.waitUntil(async () => (await carrier.countConnections?.()) === 0);
  });
}

/** The conversations that every server of a test has joined. */
const CONVERSATIONS = Array.from({ length: 10 }, (_, i) => `conv_${i}`);

/** Opens connected servers that are closed after each test. */
function opener(carrier: Carrier) {
  const buses: Bus[] = [];
  afterEach(() => Promise.all(buses.splice(0).map((bus) => bus.close())));
  return async (options?: BusOptions) => {
    const bus = carrier.open(options);
    buses.push(bus);
    await bus.connect();
    await joinAll(bus, CONVERSATIONS);
    return { bus, ...listen(bus) };
  };
}

async function joinAll(bus: Bus, conversations: string[]): Promise<void> {
  await Promise.all(conversations.map((id) => bus.join(ofConversation(id)).joined));
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

const revoked: Hint = { kind: 'revoked', keyId: 'key_1' };

/** What a hint is about: hints about different things may overtake each other. */
function nameOf(hint: Hint): string {
  if (hint.kind === 'log-moved') return hint.kind;
  return hint.kind === 'revoked' ? hint.keyId : hint.conversationId;
}

function byName(a: Hint, b: Hint): number {
  return nameOf(a).localeCompare(nameOf(b));
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
