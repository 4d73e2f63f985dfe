import { setImmediate, setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import type { Viewer } from '../src/access/viewer.ts';
import type { ReplyPart } from '../src/agents/runtime.ts';
import { createConversation } from '../src/conversations/create.ts';
import { decodeCursor } from '../src/conversations/cursor.ts';
import { deleteConversation } from '../src/conversations/delete.ts';
import { Feed } from '../src/conversations/feed.ts';
import { Feeds } from '../src/conversations/feeds.ts';
import { follow, type StreamEvent } from '../src/conversations/follow.ts';
import { readFragments } from '../src/conversations/log.ts';
import { sendMessage } from '../src/conversations/send.ts';
import { settleReply } from '../src/conversations/settle.ts';
import { conversationStream } from '../src/conversations/stream.ts';
import { updateConversation } from '../src/conversations/update.ts';
import { inTransaction } from '../src/db.ts';
import type { Bus, Hint, HintListener } from '../src/events/bus.ts';
import { Checkpoints } from '../src/generation/checkpoints.ts';
import { Lease } from '../src/generation/lease.ts';
import { Run } from '../src/generation/run.ts';
import type { Services } from '../src/graphql/context.ts';
import { encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/observability.ts';
import { Deferred } from './harness/deferred.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ runtimes: [new ScriptedRuntime()] });
const log = createLogger({ level: 'silent' });
let viewer: Viewer;
let agentId: string;
let lease: Lease;

beforeAll(async () => {
  const { pool } = server.services;
  agentId = await createAgent(server.services, 'scripted');
  const found = await findViewerByKey(pool, server.key);
  if (!found) throw new Error('The server has no first key.');
  viewer = found;
  // Its clock stands still, so that it is always held.
  lease = new Lease({ pool, seconds: 300, newId, log, onLost: () => undefined, now: () => 0 });
  await lease.start();
});
afterAll(() => lease.stop());

/** What no reader needs when all it can read is there. */
const DEADLINE_MS = 5_000;

/** One listener's hints, which arrive when the test says, or never, or again. */
class Line {
  readonly listener: HintListener;
  private waiting: Hint[] = [];

  constructor(listener: HintListener) {
    this.listener = listener;
  }

  put(hint: Hint): void {
    this.waiting.push({ ...hint });
  }

  /** Lets any of the hints arrive, or be lost. A hint that is kept can arrive again. */
  move(index: number, how: 'deliver' | 'repeat' | 'drop'): void {
    const [hint] = this.waiting.splice(index % (this.waiting.length || 1), 1);
    if (!hint) return;
    if (how !== 'drop') this.listener.onHint({ ...hint });
    if (how === 'repeat') this.waiting.push(hint);
  }

  /** Lets all arrive in their order. */
  catchUp(): void {
    for (const hint of this.waiting.splice(0)) this.listener.onHint(hint);
  }
}

/** A bus that loses, repeats and reorders, on a line of its own for each listener. */
class UnreliableBus implements Bus {
  readonly lines: Line[] = [];
  connect = () => Promise.resolve();
  close = () => Promise.resolve();
  isConnected = () => true;

  subscribe(listener: HintListener): () => void {
    this.lines.push(new Line(listener));
    return () => undefined;
  }

  publish(hint: Hint): void {
    for (const line of this.lines) line.put(hint);
  }
}

interface Folded {
  fragments: { text: string; done: boolean }[];
  ended: boolean;
}

/** What a reader knows at a cursor. */
interface Known {
  version: number;
  messages: Record<string, Folded>;
}

/** What is known after an event. Throws where a follower could not go on. */
function fold({ version, messages }: Known, event: StreamEvent): Known {
  const known: Known = { version, messages: structuredClone(messages) };
  if (event.kind === 'log') {
    const { type, version: next, messageId, beginsReply } = event.event;
    if (type === 'ConversationDeleted' ? next <= version : next !== version + 1) {
      throw new Error(`${type} of version ${next} came after version ${version}`);
    }
    known.version = next;
    if (type === 'MessageCreated' && beginsReply) known.messages[messageId ?? ''] = { fragments: [], ended: false };
    if (type === 'MessageCompleted') messageOf(known, messageId ?? '').ended = true;
    return known;
  }
  const { messageId, index } = event.fragment;
  const message = messageOf(known, messageId);
  if (event.kind === 'fragment-started') {
    if (index !== message.fragments.length) throw new Error(`fragment ${index} after ${message.fragments.length}`);
    if (message.fragments.some(({ done }) => !done)) throw new Error('a fragment began within another');
    message.fragments.push({ text: '', done: false });
    return known;
  }
  const fragment = message.fragments[index];
  if (!fragment || fragment.done || index !== message.fragments.length - 1)
    throw new Error(`no open fragment ${index}`);
  if (event.kind === 'fragment-delta') {
    if (event.offset > fragment.text.length) throw new Error(`a gap before ${event.offset}`);
    fragment.text = fragment.text.slice(0, event.offset) + event.text;
    if (!event.text.isWellFormed() || !fragment.text.isWellFormed()) throw new Error('a surrogate pair was cut');
  } else {
    if (event.fragment.text !== fragment.text) throw new Error('completed with another text');
    fragment.done = true;
  }
  return known;
}

function messageOf({ messages }: Known, id: string): Folded {
  const message = messages[id];
  if (!message || message.ended) throw new Error(`message ${id} ${message ? 'has ended' : 'has not begun'}`);
  return message;
}

/** Follows until it is told to leave; a slow one takes an event only when it may. */
class Reader {
  known: Known;
  readonly ended: Promise<void>;
  failure: Error | undefined;
  private readonly stream: AsyncIterableIterator<StreamEvent>;
  private may: number;
  private begins: boolean;
  private wake = new Deferred();
  private readonly watchers = new Map<number, Deferred>();

  constructor(
    stream: AsyncIterableIterator<StreamEvent>,
    known: Known,
    options: { slow: boolean; begins: boolean; seen: Map<string, Known> },
  ) {
    this.stream = stream;
    this.begins = options.begins;
    this.known = known;
    this.may = options.slow ? 0 : Infinity;
    this.ended = this.run(options.seen).catch((error: unknown) => {
      this.failure = error instanceof Error ? error : new Error(String(error));
      for (const deferred of this.watchers.values()) deferred.resolve();
    });
  }

  /** Lets a slow one take some more events. */
  allow(count: number): void {
    this.may += count;
    this.wake.resolve();
    this.wake = new Deferred();
  }

  /** Resolves when it knows this version, or has failed. */
  reaches(version: number): Promise<void> {
    if (this.failure || this.known.version >= version) return Promise.resolve();
    const deferred = new Deferred();
    this.watchers.set(version, deferred);
    return deferred.promise;
  }

  async leave(): Promise<void> {
    this.allow(Infinity);
    await this.stream.return?.();
    await this.ended;
  }

  private async run(seen: Map<string, Known>): Promise<void> {
    for (;;) {
      while (this.may <= 0) await this.wake.promise;
      this.may -= 1;
      const { value, done } = await this.stream.next();
      if (done) break;
      this.known = fold(this.known, value);
      const { version } = decodeCursor(value.conversationId, value.cursor) ?? {};
      // Whoever begins in the middle of a reply is told of its beginning, and then of what is new.
      if (version !== undefined && this.begins) this.known.version = version;
      this.begins = false;
      if (version !== this.known.version) throw new Error(`the cursor of another version: ${version}`);
      seen.set(value.cursor, this.known);
      this.watchers.get(this.known.version)?.resolve();
    }
  }
}

/** One conversation: who writes it, the servers that follow it, and their readers. */
class World {
  readonly bus = new UnreliableBus();
  readonly readers: Reader[] = [];
  private readonly feeds: Feeds[];
  private readonly services: Services;
  private readonly checkpoints: Checkpoints;
  private readonly uuid: string;
  /** What was known at each cursor that anybody has been given. */
  private readonly seen = new Map<string, Known>();
  private readonly releases: (() => void)[] = [];
  /** The running reply, and those whose owner has been replaced and may not know it. */
  private run: Run | null = null;
  private readonly zombies: Run[] = [];
  private open = false;
  private count = 0;
  deleted = false;

  private constructor(uuid: string) {
    const { pool } = server.services;
    this.uuid = uuid;
    this.feeds = [0, 1].map(() => new Feeds(pool, this.bus, log));
    this.checkpoints = new Checkpoints({ pool, bus: this.bus, lease, log });
    const runner = {
      start: (reply: { conversationId: string; replyId: string }) => {
        this.run = new Run(reply);
        this.open = false;
      },
      suspend: () => Promise.resolve(() => undefined),
    };
    this.services = { ...server.services, bus: this.bus, runner };
  }

  static async create(): Promise<World> {
    const input = { agentId, action: 'NONE', awaitReply: false } as const;
    const { conversationId } = await createConversation(server.services, viewer, input);
    return new World(conversationId);
  }

  get conversationId(): string {
    return encodeId('Conversation', this.uuid);
  }

  async send(): Promise<void> {
    if (this.run || this.deleted) return;
    const content = { text: `Question ${(this.count += 1)}?` };
    const input = { content, action: 'GENERATE_REPLY', onBusy: 'REJECT', awaitReply: false } as const;
    const { cursor } = await sendMessage(this.services, viewer, { conversationId: this.conversationId, ...input });
    await this.note(cursor);
  }

  /** An event that may fall into the middle of a reply. */
  async update(): Promise<number> {
    if (this.deleted) return 0;
    const input = { conversationId: this.conversationId, title: `Title ${(this.count += 1)}` };
    const { cursor, version } = await updateConversation(this.services, viewer, input);
    await this.note(cursor);
    return version;
  }

  /** The owner takes a part from its runtime; parts in between are made up so that it fits. */
  say(part: 'start' | 'end' | 'tool' | { text: string }): void {
    const { run } = this;
    if (!run) return;
    const writes = typeof part === 'object';
    if (writes ? !this.open : part === 'end' && !this.open) this.take(run, { type: 'text-start' });
    if (!writes && part !== 'end' && this.open) this.take(run, { type: 'text-end' });
    if (writes) this.take(run, { type: 'text-delta', text: part.text });
    else if (part === 'end') this.take(run, { type: 'text-end', metadata: { sources: 1 } });
    else if (part === 'start') this.take(run, { type: 'text-start' });
    else {
      const callId = `${(this.count += 1)}`;
      this.take(run, { type: 'tool-call', callId, name: 'look up', args: {} });
      this.take(run, { type: 'tool-result', callId, response: 'found', failed: false });
    }
    this.open = writes || part === 'start';
  }

  /** An owner that does not know that it was replaced goes on talking, until it tries to store what it said. */
  async haunt(text: string, stores: boolean): Promise<void> {
    for (const run of this.zombies) {
      if (run.draft.fragments.at(-1)?.status !== 'IN_PROGRESS') run.take({ type: 'text-start' });
      this.take(run, { type: 'text-delta', text });
      if (stores) await this.checkpoints.flush(run);
    }
    if (stores) this.zombies.length = 0;
  }

  /** The owner stores what it has. */
  async checkpoint(): Promise<void> {
    if (this.run) await this.checkpoints.flush(this.run);
  }

  /** The reply ends: with all its text, or cut by somebody else, or because its owner died. */
  async settle(how: 'DONE' | 'STOPPED' | 'ERROR'): Promise<void> {
    const { run } = this;
    if (!run) return;
    if (how === 'DONE') {
      if (this.open) this.say('end');
      await this.checkpoints.flush(run);
    } else this.zombies.push(run);
    const { conversationId, replyId } = run;
    const version = await inTransaction(server.services.pool, (db) =>
      settleReply(db, { conversationId, replyId, actor: { kind: 'SYSTEM' } }, { status: how }),
    );
    if (version !== null) this.bus.publish({ kind: 'log', conversationId, version, settled: replyId });
    this.run = null;
  }

  async delete(): Promise<void> {
    if (this.deleted) return;
    this.deleted = true;
    if (this.run) this.zombies.push(this.run);
    this.run = null;
    await deleteConversation(this.services, viewer, { conversationId: this.conversationId });
  }

  poll(line: number): Promise<void> | undefined {
    return this.feeds[line % 2]?.poll();
  }

  /** A new reader: from now on, or from a cursor that somebody was given. */
  async join(line: number, from: 'now' | number, slow: boolean): Promise<void> {
    const held = await this.feeds[line % 2]?.acquire(this.uuid);
    if (!held) throw new Error('There is no such conversation.');
    const { feed, release } = held;
    this.releases.push(release);
    const cursors = [...this.seen.keys()];
    const after = from === 'now' ? null : (cursors[from % (cursors.length || 1)] ?? null);
    const known = (after === null ? null : this.seen.get(after)) ?? {
      // The running reply is told from its beginning, which is no new version.
      version: feed.open ? feed.open.version - 1 : feed.deleted ? feed.version - 1 : feed.version,
      messages: {},
    };
    const stream = await conversationStream({ ...this.services, feeds: server.services.feeds }, feed, {
      after,
      fragments: true,
    });
    this.readers.push(new Reader(stream, known, { slow, begins: after === null, seen: this.seen }));
  }

  async leave(reader: number): Promise<void> {
    const index = reader % (this.readers.length || 1);
    await this.readers[index]?.leave();
    const [left] = this.readers.splice(index, 1);
    this.releases.splice(index, 1)[0]?.();
    if (left?.failure) throw left.failure;
  }

  /** The owner pauses with all it has said stored: everybody comes to know it, though the reply goes on. */
  async pause(): Promise<void> {
    const { run } = this;
    if (!run) return;
    await this.checkpoint();
    for (const feeds of this.feeds) await feeds.poll();
    const rows = await readFragments(server.services.pool, [run.replyId]);
    const said = rows.map(({ text, status }) => ({ text, done: status === 'DONE' }));
    const deadline = performance.now() + DEADLINE_MS;
    for (const reader of this.readers) {
      reader.allow(Infinity);
      while (!reader.failure && !isDeepStrictEqual(reader.known.messages[run.replyId]?.fragments, said)) {
        if (performance.now() > deadline) throw new Error('a reader has not heard what was said before the pause');
        await setImmediate();
      }
    }
  }

  /** Everybody reads to the end, and knows exactly what is stored. */
  async finish(): Promise<void> {
    const last = this.deleted ? null : await this.update();
    for (const feeds of this.feeds) await feeds.poll();
    for (const reader of this.readers) {
      reader.allow(Infinity);
      const arrives = last === null ? reader.ended : reader.reaches(last);
      const late = setTimeout(DEADLINE_MS, 'late', { ref: false });
      if ((await Promise.race([arrives, late])) === 'late') {
        throw new Error(`stuck at version ${reader.known.version} instead of ${last ?? 'the deletion'}`);
      }
      if (reader.failure) throw reader.failure;
      for (const [id, message] of Object.entries(reader.known.messages)) {
        if (last === null || id === this.run?.replyId) continue;
        const rows = await readFragments(server.services.pool, [id]);
        const fragments = rows.map(({ text, status }) => ({ text, done: status === 'DONE' }));
        expect(message).toEqual({ fragments, ended: true });
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.leave()));
    for (const feeds of this.feeds) feeds.close();
    this.checkpoints.stop();
  }

  private take(run: Run, part: ReplyPart): void {
    run.take(part);
    const { conversationId, replyId: messageId } = run;
    for (const text of run.unpublished()) this.bus.publish({ kind: 'text', conversationId, messageId, ...text });
  }

  /** What whoever gave the command knows at its cursor: the running reply, from its beginning. */
  private async note(cursor: string): Promise<void> {
    const position = decodeCursor(this.uuid, cursor);
    if (!position) throw new Error('The cursor of a payload is no cursor.');
    const messages: Known['messages'] = {};
    if (position.open && this.run) messages[this.run.replyId] = { fragments: [], ended: false };
    this.seen.set(cursor, { version: position.version, messages });
  }
}

type Step = (world: World) => Promise<unknown> | undefined;

const step = <T>(name: string, values: fc.Arbitrary<T>, act: (world: World, value: T) => unknown) =>
  values.map((value): Step & { [fc.toStringMethod]: () => string } =>
    Object.assign((world: World) => Promise.resolve(act(world, value)), {
      [fc.toStringMethod]: () => `${name} ${JSON.stringify(value)}`,
    }),
  );

const nothing = fc.constant(null);
const number = fc.nat(99);
const line = fc.nat(1);
const words = fc.constantFrom(
  'Well',
  ', ',
  'you see: ',
  '🙂',
  '\ud83d',
  '\ude42',
  '\n\n',
  'a rather long piece of text',
);

const steps = fc.oneof(
  { weight: 16, arbitrary: step('send', nothing, (world) => world.send()) },
  { weight: 8, arbitrary: step('update', nothing, (world) => world.update()) },
  { weight: 48, arbitrary: step('say', words, (world, text) => world.say({ text })) },
  {
    weight: 12,
    arbitrary: step('say', fc.constantFrom('start', 'end', 'tool'), (world, part) => world.say(part)),
  },
  { weight: 20, arbitrary: step('checkpoint', nothing, (world) => world.checkpoint()) },
  {
    weight: 4,
    arbitrary: step('settle', fc.constantFrom('DONE', 'DONE', 'STOPPED', 'ERROR'), (w, how) => w.settle(how)),
  },
  {
    weight: 8,
    arbitrary: step('haunt', fc.tuple(words, fc.boolean()), (world, [text, stores]) => world.haunt(text, stores)),
  },
  {
    weight: 40,
    arbitrary: step(
      'hint',
      fc.record({ line, index: number, how: fc.constantFrom('deliver', 'deliver', 'repeat', 'drop') }),
      ({ bus }, { line, index, how }) => bus.lines[line]?.move(index, how),
    ),
  },
  { weight: 16, arbitrary: step('catch up', line, ({ bus }, line) => bus.lines[line]?.catchUp()) },
  { weight: 4, arbitrary: step('poll', line, (world, line) => world.poll(line)) },
  { weight: 4, arbitrary: step('reconnect', line, ({ bus }, line) => bus.lines[line]?.listener.onReconnect()) },
  {
    weight: 20,
    arbitrary: step(
      'join',
      fc.record({ line, from: fc.oneof(fc.constant('now' as const), number, number), slow: fc.boolean() }),
      (world, { line, from, slow }) => world.join(line, from, slow),
    ),
  },
  { weight: 4, arbitrary: step('leave', number, (world, index) => world.leave(index)) },
  {
    weight: 20,
    arbitrary: step('read', fc.record({ index: number, count: fc.nat(5) }), ({ readers }, { index, count }) =>
      readers[index % (readers.length || 1)]?.allow(count),
    ),
  },
  {
    weight: 24,
    arbitrary: step('breathe', fc.nat(6), async (_world, turns) => {
      for (let i = 0; i < turns; i += 1) await setImmediate();
    }),
  },
  { weight: 1, arbitrary: step('delete', nothing, (world) => world.delete()) },
);

test('whatever the bus and the owners of replies do, every reader ends with the stored text and the whole log', async () => {
  const ending = fc.constantFrom('DONE', 'STOPPED', 'ERROR');
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 10, maxLength: 60, size: 'max' }),
      ending,
      fc.boolean(),
      async (history, how, pauses) => {
        const world = await World.create();
        try {
          await world.send();
          for (const act of history) await act(world);
          if (pauses) await world.pause();
          await world.settle(how);
          await world.finish();
        } finally {
          await world.close();
        }
      },
    ),
    { seed: 20_261_122, numRuns: 250, endOnFailure: true },
  );
}, 120_000);

describe('a feed', () => {
  const never = new AbortController().signal;

  /** A conversation with so many notes, and its row id. */
  async function conversationOf(notes: number): Promise<{ uuid: string; note: () => Promise<unknown> }> {
    const created = await createConversation(server.services, viewer, { agentId, action: 'NONE', awaitReply: false });
    const conversationId = encodeId('Conversation', created.conversationId);
    let count = 0;
    const note = () => updateConversation(server.services, viewer, { conversationId, title: `${(count += 1)}` });
    while (count < notes) await note();
    return { uuid: created.conversationId, note };
  }

  async function versionsAfter(feed: Feed, version: number, upTo: number): Promise<number[]> {
    const versions: number[] = [];
    const known = { version, text: null };
    for await (const event of follow(feed, known, never)) {
      if (event.kind === 'log') versions.push(event.event.version);
      if (event.kind !== 'log' || event.event.version >= upTo) break;
    }
    return versions;
  }

  test('that hears a hint while it begins reads neither the whole log nor an event twice', async () => {
    const { uuid, note } = await conversationOf(5);
    const { pool } = server.services;
    const head = new Deferred();
    const reads: unknown[] = [];
    const answered = new Deferred();
    // The answer to its first question is on its way for long.
    const query = async (config: pg.QueryConfig) => {
      const result = await pool.query(config);
      if (config.name === 'read-head') await head.promise;
      if (config.name === 'read-events') {
        reads.push(config.values?.[1]);
        answered.resolve();
      }
      return result;
    };
    const slow = Object.create(pool, { query: { value: query } }) as pg.Pool;
    const feed = new Feed(slow, log, uuid);
    const starting = feed.start();
    // The question has been answered once another one that was asked later has.
    await pool.query('SELECT 1');
    await note();
    feed.onHint({ kind: 'log', conversationId: uuid, version: 7 });
    await Promise.race([answered.promise, pool.query('SELECT pg_sleep(0.05)')]);
    head.resolve();
    await starting;
    await note();
    await feed.refresh();
    expect(await versionsAfter(feed, 3, 8)).toEqual([4, 5, 6, 7, 8]);
    expect(reads).not.toContain(0);
  });

  test('whose database fails between two questions tells what the first one gave once it answers again', async () => {
    const { uuid } = await conversationOf(0);
    const { pool } = server.services;
    let failures = 1;
    const query = (config: pg.QueryConfig) =>
      config.name === 'read-fragments' && failures-- > 0 ? Promise.reject(new Error('gone')) : pool.query(config);
    const feed = new Feed(Object.create(pool, { query: { value: query } }) as pg.Pool, log, uuid);
    await feed.start();
    const seen = versionsAfter(feed, 1, 3);
    const content = { text: 'Hello?' };
    const input = { content, action: 'GENERATE_REPLY', onBusy: 'REJECT', awaitReply: false } as const;
    await sendMessage(server.services, viewer, { conversationId: encodeId('Conversation', uuid), ...input });
    await expect(feed.refresh()).rejects.toThrow('gone');
    await feed.refresh();
    expect(await seen).toEqual([2, 3]);
  }, 2_000);

  test('that missed what happened before a deletion tells nothing twice', async () => {
    const { uuid, note } = await conversationOf(3);
    const feed = new Feed(server.services.pool, log, uuid);
    await feed.start();
    for (let i = 0; i < 3; i += 1) {
      await note();
      await feed.refresh();
    }
    const seen = versionsAfter(feed, 4, 10);
    await note();
    await note();
    await deleteConversation(server.services, viewer, { conversationId: encodeId('Conversation', uuid) });
    await feed.refresh();
    expect(await seen).toEqual([5, 6, 7, 10]);
  });

  test.each(['runs', 'has ended'])(
    'that has not heard of a deletion leads to it whoever joins, when a reply %s',
    async (how) => {
      const world = await World.create();
      try {
        await world.send();
        await world.join(0, 'now', false);
        world.say({ text: 'So far' });
        await world.pause();
        if (how === 'has ended') await world.settle('STOPPED');
        await world.poll(0);
        await world.delete();
        for (let cursor = 0; cursor < 6; cursor += 1) await world.join(0, cursor, false);
        await world.join(0, 'now', false);
        await world.finish();
        await world.join(0, 'now', false);
        await world.join(1, 0, false);
        await world.finish();
      } finally {
        await world.close();
      }
    },
  );

  test('that hears late, or from an owner that was replaced, of a reply adds nothing to the next one', async () => {
    const world = await World.create();
    try {
      await world.send();
      await world.join(0, 'now', false);
      world.say('start');
      await world.pause();
      world.say({ text: 'Late words' });
      await world.settle('STOPPED');
      await world.send();
      world.say('start');
      await world.pause();
      await world.haunt(' and later ones', false);
      world.bus.lines[0]?.catchUp();
      world.say({ text: 'Right' });
      world.bus.lines[0]?.catchUp();
      await world.pause();
      await world.settle('DONE');
      await world.finish();
    } finally {
      await world.close();
    }
  });

  test('that hears of text before it has read the row of its fragment tells it without waiting for more', async () => {
    const world = await World.create();
    const [near] = world.bus.lines;
    await world.send();
    await world.join(0, 'now', false);
    world.say('start');
    await world.checkpoint();
    world.say({ text: 'The first words.' });
    // In their order, but all at once.
    near?.catchUp();
    const texts = () =>
      Object.values(world.readers[0]?.known.messages ?? {}).map(({ fragments }) => fragments[0]?.text);
    while (texts()[0] !== 'The first words.') await setImmediate();
    await world.close();
  }, 2_000);
});
