import type { StreamEvent } from '../src/conversations/stream/stream-event.ts';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type pg from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import type { Viewer } from '../src/access/viewer.ts';
import type { ReplyPart } from '../src/agents/runtime.ts';
import { createConversation } from '../src/conversations/commands/create.ts';
import type { Committed } from '../src/conversations/log/commit.ts';
import { cursorAt, decodeCursor, type StreamPosition } from '../src/conversations/stream/cursor.ts';
import { deleteConversation } from '../src/conversations/commands/delete.ts';
import { Feed } from '../src/conversations/stream/feed.ts';
import { FeedRegistry } from '../src/conversations/stream/feed-registry.ts';
import { follow } from '../src/conversations/stream/event-order.ts';
import { readFragments, readHead } from '../src/conversations/log/read.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { settleReply } from '../src/conversations/log/settle.ts';
import { conversationStream, eventsOf } from '../src/conversations/stream/stream.ts';
import { updateConversation } from '../src/conversations/commands/update.ts';
import { inTransaction } from '../src/db.ts';
import type { Bus, Hint, HintListener, Reach } from '../src/bus/hints.ts';
import { Checkpoints } from '../src/generation/checkpoints.ts';
import { Run } from '../src/generation/run.ts';
import type { Services } from '../src/graphql/context.ts';
import { encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { Deferred } from './harness/deferred.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ runtimes: [new ScriptedRuntime()] });
const logger = createLogger({ level: 'silent' });
let viewer: Viewer;
let agentId: string;
const lease = { isHeld: () => true };

beforeAll(async () => {
  const { pool } = server.services;
  agentId = await createAgent(server.services, 'scripted');
  const found = await findViewerByKey(pool, server.key);
  if (!found) throw new Error('The server has no first key.');
  viewer = found;
});

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

  lose(): void {
    this.waiting.length = 0;
  }
}

/** A bus that loses, repeats and reorders, on a line of its own for each listener. */
class UnreliableBus {
  readonly lines: (Line & { server: number })[] = [];
  /** How far the text of each fragment has been told. */
  private readonly told = new Map<string, number>();

  /** The bus as one of the servers has it. */
  of(server: number): Bus {
    return {
      connect: () => Promise.resolve(),
      close: () => Promise.resolve(),
      isConnected: () => true,
      join: () => ({ joined: Promise.resolve(), leave: () => undefined }),
      subscribe: (listener) => {
        this.lines.push(Object.assign(new Line(listener), { server }));
        return () => undefined;
      },
      publish: (hint, reach = 'EVERYWHERE') => this.publish(hint, server, reach),
    };
  }

  private publish(hint: Hint, server: number, reach: Reach): void {
    if (hint.kind === 'text') {
      const fragment = `${hint.messageId} ${hint.fragment}`;
      if (hint.offset < (this.told.get(fragment) ?? 0)) throw new Error('an offset on the bus went back');
      this.told.set(fragment, hint.offset + hint.text.length);
    }
    for (const line of this.lines) {
      if (reach === 'EVERYWHERE' || (reach === 'HERE') === (line.server === server)) line.put(hint);
    }
  }

  /** Lets all arrive everywhere. */
  catchUp(): void {
    for (const line of this.lines) line.catchUp();
  }

  /** Loses all that has not arrived. */
  lose(): void {
    for (const line of this.lines) line.lose();
  }
}

interface Folded {
  fragments: { text: string; done: boolean }[];
  ended: boolean;
}

/** What a reader knows at a cursor. */
interface Known extends StreamPosition {
  messages: Record<string, Folded>;
  /** The running reply's text turned out shorter: no more of it may come. */
  corrected: boolean;
  deleted: boolean;
}

const cursorOf = ({ conversationId, version, runningReplyVersion }: Committed) =>
  cursorAt(1, conversationId, version, runningReplyVersion);

const nothingKnown = { running: null, messages: {}, corrected: false, deleted: false };

/** What is known after an event. Throws where a follower could not go on. */
function fold(before: Known, event: StreamEvent): Known {
  const known: Known = { ...before, messages: structuredClone(before.messages) };
  if (known.deleted) throw new Error('told after the deletion');
  if (event.kind === 'log') {
    const { type, version, messageId, beginsReply } = event.event;
    known.deleted = type === 'ConversationDeleted';
    if (known.deleted ? version <= before.version : version !== before.version + 1) {
      throw new Error(`${type} of version ${version} came after version ${before.version}`);
    }
    known.version = version;
    if (type === 'MessageCreated' && beginsReply) {
      known.messages[messageId ?? ''] = { fragments: [], ended: false };
      known.running = { version, fragment: 0, started: false, units: 0 };
    }
    if (type === 'MessageCompleted') {
      messageOf(known, messageId ?? '').ended = true;
      known.running = null;
      known.corrected = false;
    }
    return known;
  }
  const { messageId, index, text, status } = event.fragment;
  const message = messageOf(known, messageId);
  const { running } = known;
  if (index !== running?.fragment) throw new Error(`fragment ${index} instead of ${running?.fragment}`);
  if (known.corrected) throw new Error('told more of a text that had been cut');
  if (event.kind === 'fragment-started') {
    if (running.started) throw new Error('a fragment began twice');
    if (text.toString() !== '' || status !== 'IN_PROGRESS') throw new Error('a fragment began with what came later');
    message.fragments.push({ text: '', done: false });
    known.running = { ...running, started: true };
    return known;
  }
  const fragment = message.fragments[index];
  if (!fragment || !running.started) throw new Error('a fragment that has not begun');
  if (event.kind === 'fragment-delta') {
    const { length } = fragment.text;
    known.corrected = event.text === '' && event.offset < length;
    if (!known.corrected && (event.text === '' || event.offset !== length)) {
      throw new Error(`${event.text.length} units at ${event.offset} after ${length}`);
    }
    fragment.text = fragment.text.slice(0, event.offset) + event.text;
    known.running = { ...running, units: fragment.text.length };
    if (!event.text.isWellFormed() || !fragment.text.isWellFormed()) throw new Error('a surrogate pair was cut');
  } else {
    if (text !== fragment.text) throw new Error('completed with another text');
    fragment.done = true;
    known.running = { version: running.version, fragment: index + 1, started: false, units: 0 };
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
      const position = decodeCursor(value.conversationId, value.cursor);
      // Whoever begins in the middle of a reply is told of its beginning, and then of what is new.
      if (position && this.begins) this.known.version = position.version;
      this.begins = false;
      const { version, running, deleted } = this.known;
      if (!deleted && !isDeepStrictEqual(position, { epoch: 1, version, running })) {
        throw new Error(`the cursor ${JSON.stringify(position)} at ${JSON.stringify({ version, running })}`);
      }
      seen.set(value.cursor, this.known);
      this.watchers.get(this.known.version)?.resolve();
    }
  }
}

interface WorldOptions {
  /** Through which the servers read. */
  pool?: pg.Pool;
  /** Whether the servers ever look for what no hint has told them of. */
  polls?: boolean;
}

/** One conversation: who writes it, the servers that follow it, and their readers. */
class World {
  readonly bus = new UnreliableBus();
  readonly readers: Reader[] = [];
  readonly uuid: string;
  /** The running reply. */
  run: Run | null = null;
  private readonly feeds: FeedRegistry[];
  private readonly services: Services;
  private readonly checkpoints: Checkpoints;
  /** What was known at each cursor that anybody has been given. */
  private readonly seen = new Map<string, Known>();
  readonly held: { feed: Feed; release: () => void }[] = [];
  /** Replies whose owner has been replaced and may not know it. */
  private readonly zombies: Run[] = [];
  private open = false;
  private count = 0;
  deleted = false;

  private constructor(uuid: string, { pool = server.services.pool, polls = true }: WorldOptions) {
    this.uuid = uuid;
    this.feeds = [0, 1].map((of) => new FeedRegistry(pool, this.bus.of(of), logger));
    if (!polls) for (const feedRegistry of this.feeds) feedRegistry.poll = () => Promise.resolve();
    this.checkpoints = new Checkpoints({
      pool: server.services.pool,
      bus: this.bus.of(0),
      lease,
      logger,
      feedRegistry: this.feeds[0],
    });
    const runner = {
      start: (reply: { conversationId: string; replyId: string }) => {
        this.run = new Run(reply);
        this.checkpoints.begin(this.run);
        this.open = false;
      },
      running: () => null,
      suspend: () => Promise.resolve(() => undefined),
    };
    this.services = { ...server.services, bus: this.bus.of(0), runner };
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const input = { agentId, action: 'NONE', awaitReply: false } as const;
    const { conversationId } = await createConversation(server.services, viewer, input);
    return new World(conversationId, options);
  }

  get conversationId(): string {
    return encodeId('Conversation', this.uuid);
  }

  async send(): Promise<void> {
    if (this.run || this.deleted) return;
    const content = { text: `Question ${(this.count += 1)}?` };
    const input = { content, action: 'GENERATE_REPLY', onBusy: 'REJECT', awaitReply: false } as const;
    const sent = await sendMessage(this.services, viewer, { conversationId: this.conversationId, ...input });
    await this.note(cursorOf(sent));
  }

  /** An event that may fall into the middle of a reply. */
  async update(): Promise<number> {
    if (this.deleted) return 0;
    const input = { conversationId: this.conversationId, title: `Title ${(this.count += 1)}` };
    const updated = await updateConversation(this.services, viewer, input);
    await this.note(cursorOf(updated));
    return updated.version;
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
    const reached = await inTransaction(server.services.pool, (db) =>
      settleReply(db, { conversationId, replyId, actor: { kind: 'SYSTEM' } }, { status: how }),
    );
    if (reached) this.services.bus.publish({ kind: 'log', conversationId, ...reached, settled: replyId });
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
    const { feed } = held;
    this.held.push(held);
    const cursors = [...this.seen.keys()];
    const after = from === 'now' ? null : (cursors[from % (cursors.length || 1)] ?? null);
    const known = (after === null ? null : this.seen.get(after)) ?? {
      // The running reply is told from its beginning, which is no new version.
      version: feed.running ? feed.running.version - 1 : feed.deleted ? feed.version - 1 : feed.version,
      ...nothingKnown,
    };
    const stream = await conversationStream({ ...this.services, feedRegistry: server.services.feedRegistry }, feed, {
      after,
      fragments: true,
    });
    this.readers.push(new Reader(eventsOf(stream), known, { slow, begins: after === null, seen: this.seen }));
  }

  async leave(reader: number): Promise<void> {
    const index = reader % (this.readers.length || 1);
    await this.readers[index]?.leave();
    const [left] = this.readers.splice(index, 1);
    this.held.splice(index, 1)[0]?.release();
    if (left?.failure) throw left.failure;
  }

  /** The owner pauses with all it has said stored: everybody comes to know it, though the reply goes on. */
  async pause(): Promise<void> {
    const { run } = this;
    if (!run) return;
    await this.checkpoint();
    for (const feedRegistry of this.feeds) await feedRegistry.poll();
    const rows = await readFragments(server.services.pool, [run.replyId]);
    await this.know(rows.map(({ text, status }) => ({ text, done: status === 'DONE' })));
  }

  /** Resolves when everybody knows this of the running reply. */
  async know(said: Folded['fragments']): Promise<void> {
    const replyId = this.run?.replyId ?? '';
    for (const reader of this.readers) {
      reader.allow(Infinity);
      const knows = () => isDeepStrictEqual(reader.known.messages[replyId]?.fragments, said);
      await until(() => reader.failure !== undefined || knows(), `to know ${JSON.stringify(said)}`);
      if (reader.failure) throw reader.failure;
    }
  }

  /** Every server reads what is new. */
  async refresh(): Promise<void> {
    await Promise.all(this.held.map(({ feed }) => feed.refresh()));
  }

  /** Everybody reads to the end, and knows exactly what is stored. */
  async finish(): Promise<void> {
    const last = this.deleted ? null : await this.update();
    for (const feedRegistry of this.feeds) await feedRegistry.poll();
    for (const reader of this.readers) {
      reader.allow(Infinity);
      const arrives = last === null ? reader.ended : reader.reaches(last);
      const late = setTimeout(DEADLINE_MS, 'late', { ref: false });
      if ((await Promise.race([arrives, late])) === 'late') {
        throw new Error(`stuck at version ${reader.known.version} instead of ${last ?? 'the deletion'}`);
      }
      if (reader.failure) throw reader.failure;
      if (last === null && !reader.known.deleted) throw new Error('not told of the deletion');
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
    for (const feedRegistry of this.feeds) feedRegistry.close();
    this.checkpoints.stop();
  }

  private take(run: Run, part: ReplyPart): void {
    run.take(part);
    this.checkpoints.publish(run);
  }

  /** What whoever gave the command knows at its cursor: the running reply, from its beginning. */
  private async note(cursor: string): Promise<void> {
    const position = decodeCursor(this.uuid, cursor);
    if (!position) throw new Error('The cursor of a payload is no cursor.');
    const messages: Known['messages'] = {};
    if (position.running && this.run) messages[this.run.replyId] = { fragments: [], ended: false };
    this.seen.set(cursor, { ...nothingKnown, ...position, messages });
  }
}

/** Resolves once it holds; rejects when it has not in time. */
async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain ${what}`);
    await setImmediate();
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
const line = fc.nat(2);
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

// More of other histories: `RUNS=10000 SEED=1 npx vitest run test/reader-model.test.ts`.
const { RUNS = '100', SEED = '20261122' } = process.env;

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
    { seed: Number(SEED), numRuns: Number(RUNS), endOnFailure: true, timeout: 30_000 },
  );
}, 3_600_000);

/** A pool that does something between each question's answer and whoever asked it. */
function poolWith(between: (config: pg.QueryConfig) => Promise<void> | void): pg.Pool {
  const { pool } = server.services;
  const query = async (config: pg.QueryConfig) => {
    const result = await pool.query(config);
    await between(config);
    return result;
  };
  return Object.create(pool, { query: { value: query } }) as pg.Pool;
}

describe('a feed', () => {
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
    for await (const event of follow(feed, known, AbortSignal.timeout(DEADLINE_MS))) {
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
    const slow = poolWith(async ({ name, values }) => {
      if (name === 'read-head') await head.promise;
      if (name !== 'read-events') return;
      reads.push(values?.[1]);
      answered.resolve();
    });
    const feed = new Feed(slow, logger, uuid);
    const starting = feed.start();
    // The question has been answered once another one that was asked later has.
    await pool.query('SELECT 1');
    await note();
    feed.onHint({ kind: 'log', conversationId: uuid, version: 7 });
    await Promise.race([answered.promise, pool.query('SELECT pg_sleep(0.05)')]);
    head.resolve();
    await starting;
    expect(feed.version).toBe(7);
    await note();
    await feed.refresh();
    expect(await versionsAfter(feed, 3, 8)).toEqual([4, 5, 6, 7, 8]);
    expect(reads).not.toContain(0);
  });

  test('whose database fails between two questions tells what the first one gave once it answers again', async () => {
    const { uuid } = await conversationOf(0);
    let failures = 1;
    const pool = poolWith(({ name }) => {
      if (name === 'read-fragments' && failures-- > 0) throw new Error('gone');
    });
    const feed = new Feed(pool, logger, uuid);
    await feed.start();
    const seen = versionsAfter(feed, 1, 3);
    const content = { text: 'Hello?' };
    const input = { content, action: 'GENERATE_REPLY', onBusy: 'REJECT', awaitReply: false } as const;
    await sendMessage(server.services, viewer, { conversationId: encodeId('Conversation', uuid), ...input });
    await expect(feed.refresh()).rejects.toThrow('gone');
    await feed.refresh();
    expect(await seen).toEqual([2, 3]);
  });

  test('that is pages of events behind reads and tells them all', async () => {
    const { uuid } = await conversationOf(0);
    const { pool } = server.services;
    const feed = new Feed(pool, logger, uuid);
    await feed.start();
    await pool.query(
      `INSERT INTO event (conversation_id, version, organization_id, type, actor)
        SELECT id, n, organization_id, 'ConversationUpdated', '{"kind": "SYSTEM"}'
        FROM conversation, generate_series(2, 1300) AS n WHERE id = $1`,
      [uuid],
    );
    await feed.refresh();
    expect(feed.version).toBe(1300);
    expect(await versionsAfter(feed, 1, 1300)).toEqual(Array.from({ length: 1299 }, (_, i) => i + 2));
  });

  test('that missed what happened before a deletion tells nothing twice', async () => {
    const { uuid, note } = await conversationOf(3);
    const feed = new Feed(server.services.pool, logger, uuid);
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

  test('that hears of a deletion while a reader waits for events that are gone tells that reader of it', async () => {
    const { uuid, note } = await conversationOf(3);
    const { pool } = server.services;
    let asked = 0;
    const query = async (config: pg.QueryConfig) => {
      const late = config.name === 'read-events' && config.values?.[1] === 1 && (asked += 1) === 1;
      if (late) await deleteConversation(server.services, viewer, { conversationId: encodeId('Conversation', uuid) });
      const result = await pool.query(config);
      if (late) await feed.refresh();
      return result;
    };
    const feed = new Feed(Object.create(pool, { query: { value: query } }) as pg.Pool, logger, uuid);
    await feed.start();
    await note();
    await feed.refresh();
    expect(await versionsAfter(feed, 1, 6)).toEqual([6]);
  });

  test('that has not heard of a deletion finds out when a reader asks for events that are gone', async () => {
    const { uuid } = await conversationOf(3);
    const feed = new Feed(server.services.pool, logger, uuid);
    await feed.start();
    await deleteConversation(server.services, viewer, { conversationId: encodeId('Conversation', uuid) });
    expect(await versionsAfter(feed, 1, 5)).toEqual([5]);
  });

  test('that no hint ever reaches looks by itself from time to time', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    const feedRegistry = new FeedRegistry(server.services.pool, new UnreliableBus().of(0), logger);
    try {
      const { uuid, note } = await conversationOf(1);
      const held = await feedRegistry.acquire(uuid);
      await note();
      vi.advanceTimersByTime(5_000);
      await until(() => held?.feed.version === 3, 'for the second title');
    } finally {
      vi.useRealTimers();
      feedRegistry.close();
    }
  });

  test.each(['runs', 'has ended'])(
    'that has not heard of a deletion leads to it whoever joins, when a reply %s',
    async (how) => {
      for (const from of ['now', 0, 1, 2, 3, 4, 5] as const) {
        const world = await World.create({ polls: false });
        try {
          await world.update();
          await world.send();
          await world.join(0, 'now', false);
          world.say({ text: 'So far' });
          await world.checkpoint();
          world.bus.catchUp();
          await world.know([{ text: 'So far', done: false }]);
          if (how === 'has ended') await world.settle('STOPPED');
          await world.refresh();
          await world.delete();
          world.bus.lose();
          await world.join(0, from, false);
          await world.finish();
          // Its owner has not heard of it either.
          await world.haunt(' and further', false);
          world.bus.catchUp();
          for (const cursor of ['now', 0, 1, 2, 3, 4, 5, 6] as const) await world.join(0, cursor, false);
          await world.join(1, 0, false);
          await world.finish();
        } finally {
          await world.close();
        }
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

  test('finds by a poll alone an event, text, and the deletion', async () => {
    const world = await World.create();
    try {
      await world.join(0, 'now', false);
      await world.send();
      await world.pause();
      world.say({ text: 'Well' });
      await world.pause();
      world.say({ text: ', so' });
      await world.pause();
      await world.delete();
      await world.finish();
    } finally {
      await world.close();
    }
  });
});

describe('a reader on a server that does not poll', () => {
  /** Done once, after the next reading of text has been answered. */
  let meanwhile: (() => Promise<void>) | null = null;
  let readings = 0;
  let world: World;

  /** Resolves when the reader knows that a reply has begun. */
  async function attend(): Promise<void> {
    await world.join(0, 'now', false);
    await world.send();
    world.bus.catchUp();
    await world.know([]);
  }

  /** Resolves when the reader knows that the reply's first fragment has begun. */
  async function listen(): Promise<void> {
    await attend();
    world.say('start');
    await world.checkpoint();
    world.bus.catchUp();
    await world.know([{ text: '', done: false }]);
  }

  beforeEach(async () => {
    const pool = poolWith(async ({ name }) => {
      if (name !== 'read-fragments') return;
      readings += 1;
      const act = meanwhile;
      meanwhile = null;
      await act?.();
    });
    world = await World.create({ pool, polls: false });
  });
  afterEach(() => world.close());

  test('where a fragment begins is told of it without a hint and without a reading', async () => {
    await attend();
    const before = readings;
    world.say({ text: 'Well' });
    await world.checkpoint();
    world.bus.lose();
    await world.know([{ text: 'Well', done: false }]);
    expect(readings).toBe(before);
  });

  test('where a fragment begins that does not follow on what it knows reads what lies between', async () => {
    await attend();
    world.say('tool');
    world.say({ text: 'Found.' });
    await world.checkpoint();
    const [feed] = world.held.map((each) => each.feed);
    const { fragments = [] } = feed?.running ?? {};
    const last = fragments.pop();
    fragments.length = 0;
    feed?.onBegun(last ? [{ ...last, text: last.text.toString() }] : []);
    expect(fragments).toEqual([]);
    world.bus.catchUp();
    await world.refresh();
    expect(fragments).toHaveLength(3);
  });

  test('is told of a fragment, its text and its end by the hints at them', async () => {
    await listen();
    world.say({ text: 'Well' });
    world.bus.catchUp();
    await world.know([{ text: 'Well', done: false }]);
    world.say('end');
    await world.checkpoint();
    world.bus.catchUp();
    await world.know([{ text: 'Well', done: true }]);
  });

  test('is told text that its server hears of before it has read the row of the fragment', async () => {
    await attend();
    world.say('start');
    await world.checkpoint();
    world.say({ text: 'The first words.' });
    // In their order, but all at once.
    world.bus.catchUp();
    await world.know([{ text: 'The first words.', done: false }]);
  });

  test('is told text though the hint at its fragment was lost', async () => {
    await attend();
    world.say('start');
    await world.checkpoint();
    world.bus.lose();
    world.say({ text: 'The first words.' });
    world.bus.catchUp();
    await world.know([{ text: 'The first words.', done: false }]);
  });

  test('is told text after a gap as soon as what is missing is stored', async () => {
    await listen();
    world.say({ text: 'Well' });
    world.bus.lose();
    world.say({ text: ', so' });
    world.bus.catchUp();
    await world.refresh();
    await world.know([{ text: '', done: false }]);
    await world.checkpoint();
    await world.know([{ text: 'Well, so', done: false }]);
  });

  test('is told what follows on text that was told and is not stored, though rows were read meanwhile', async () => {
    await listen();
    world.say({ text: 'Well' });
    world.bus.catchUp();
    await world.refresh();
    world.say({ text: ', so' });
    world.bus.catchUp();
    await world.know([{ text: 'Well, so', done: false }]);
  });

  test('is told text after a gap though its server has heard much of replies that do not run', async () => {
    await attend();
    const [line] = world.bus.lines;
    for (let offset = 1; offset <= 2000; offset += 1) {
      const hint = { messageId: newId(), fragment: 0, offset, text: 'x' };
      line?.listener.onHint({ kind: 'text', conversationId: world.uuid, ...hint });
    }
    await world.refresh();
    world.say('start');
    await world.checkpoint();
    world.bus.lose();
    world.say({ text: 'The first words.' });
    world.bus.catchUp();
    await world.know([{ text: 'The first words.', done: false }]);
  });

  test('costs few readings of the rows after a gap, however much text follows it', async () => {
    await listen();
    world.say({ text: 'Lost' });
    world.bus.lose();
    const [before, begun] = [readings, performance.now()];
    for (let i = 0; i < 50; i += 1) {
      world.say({ text: '.' });
      world.bus.catchUp();
      await server.services.pool.query('SELECT pg_sleep(0.004)');
    }
    expect(readings - before).toBeLessThanOrEqual(2 + (performance.now() - begun) / 100);
  });

  test('is told what happened while its server was reading', async () => {
    await attend();
    const [reading, told] = [new Deferred(), new Deferred()];
    meanwhile = () => {
      reading.resolve();
      return told.promise;
    };
    await world.update();
    world.bus.catchUp();
    await reading.promise;
    const version = await world.update();
    world.bus.catchUp();
    told.resolve();
    await until(() => world.readers[0]?.known.version === version, 'for the second title');
  });

  test('is told of an event whose hint was lost while the bus was cut', async () => {
    await attend();
    const version = await world.update();
    world.bus.lose();
    world.bus.lines[0]?.listener.onReconnect();
    await until(() => world.readers[0]?.known.version === version, 'for the title');
  });

  test('is told text that was told before its server heard anything, and stored after it looked', async () => {
    await world.send();
    world.say('start');
    await world.checkpoint();
    world.say({ text: 'Well' });
    world.bus.lose();
    meanwhile = () => world.checkpoint();
    await world.join(0, 'now', false);
    await world.know([{ text: 'Well', done: false }]);
  });

  test('is told text that was told while the bus was cut, and stored after its server looked again', async () => {
    await listen();
    world.say({ text: 'Well' });
    world.bus.lose();
    meanwhile = () => world.checkpoint();
    world.bus.lines[0]?.listener.onReconnect();
    await world.know([{ text: 'Well', done: false }]);
  });

  test('is told text as soon as its server has read of the reply', async () => {
    await world.join(0, 'now', false);
    await world.send();
    world.say({ text: 'Well' });
    await world.checkpoint();
    await world.refresh();
    await world.know([{ text: 'Well', done: false }]);
  });

  test('has nothing taken back that another server had told it and this one has not heard', async () => {
    await listen();
    world.say({ text: 'Well' });
    world.bus.lines[0]?.catchUp();
    await world.know([{ text: 'Well', done: false }]);
    world.bus.lose();
    // From the last cursor: after the send, the reply, its fragment and the text.
    await world.join(1, 3, false);
    await world.checkpoint();
    world.say({ text: ', so' });
    await world.checkpoint();
    await world.refresh();
    await world.know([{ text: 'Well, so', done: false }]);
  });

  test('is told a long text in pieces, and no pair is cut in two', async () => {
    await world.send();
    const text = `:${'🙂'.repeat(100_000)}`;
    world.say({ text });
    await world.checkpoint();
    await world.join(0, 'now', false);
    await world.know([{ text, done: false }]);
  });

  test('is told all of a text that its reply ended with while it was read', async () => {
    await world.send();
    const replyId = world.run?.replyId ?? '';
    for (const text of ['Well', ', so']) {
      world.say({ text });
      await world.checkpoint();
    }
    const pool = poolWith(() => world.settle('STOPPED'));
    expect(await readFragments(pool, [replyId])).toMatchObject([{ text: 'Well, so' }]);
  });
});

describe('the owner of a reply', () => {
  let world: World;
  let run: Run;

  beforeEach(async () => {
    world = await World.create();
    await world.send();
    if (!world.run) throw new Error('No reply runs.');
    run = world.run;
  });
  afterEach(() => world.close());

  /** Says it as a runner does, and tells what the others are told. */
  function speaker(options: { lease?: { isHeld(): boolean }; pool?: pg.Pool } = {}) {
    const told: Hint[] = [];
    const bus: Bus = { ...new UnreliableBus().of(0), publish: (hint) => void told.push(hint) };
    const checkpoints = new Checkpoints({ pool: server.services.pool, lease, ...options, bus, logger });
    const say = (part: ReplyPart) => {
      if (run.take(part) === 'now') checkpoints.add(run, 'now');
      else checkpoints.add(run, 'soon');
    };
    return { told, say, store: () => checkpoints.flush(run), stop: () => checkpoints.stop() };
  }

  const ownReply = () => ({ conversationId: world.uuid, replyId: run.replyId, actor: { kind: 'SYSTEM' } }) as const;
  const stored = () => readFragments(server.services.pool, [run.replyId]);
  const chunks = () => server.services.prisma.chunk.count({ where: { messageId: run.replyId } });

  /** Resolves when the work is done, or waits for a lock. */
  async function doneOrBlocked(work: Promise<unknown>): Promise<void> {
    let done = false;
    const finish = () => (done = true);
    work.then(finish, finish);
    while (!done) {
      const { rowCount } = await server.services.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      if (rowCount) return;
    }
  }

  test('tells of a fragment once its row is stored, and of its text each unit once', async () => {
    let storings = 0;
    const pool = poolWith(() => {
      storings += 1;
      if (storings > 1) return;
      // It goes on talking while it stores.
      say({ type: 'text-delta', text: ', so' });
      expect(told).toEqual([]);
    });
    const { told, say, store, stop } = speaker({ pool });
    say({ type: 'text-start' });
    say({ type: 'text-delta', text: 'Well' });
    await store();
    say({ type: 'text-delta', text: '.' });
    say({ type: 'text-end' });
    await store();
    stop();
    expect(told).toMatchObject([
      { kind: 'fragments' },
      { kind: 'text', fragment: 0, offset: 4, text: ', so' },
      { kind: 'text', fragment: 0, offset: 8, text: '.' },
      { kind: 'fragments' },
    ]);
    expect(await stored()).toMatchObject([{ status: 'DONE', text: 'Well, so.' }]);
  });

  test('tells nothing once its lease has run out, and goes on storing', async () => {
    let isHeld = true;
    const { told, say, store, stop } = speaker({ lease: { isHeld: () => isHeld } });
    say({ type: 'text-start' });
    await store();
    expect(told).toHaveLength(1);
    isHeld = false;
    say({ type: 'text-delta', text: 'Well' });
    await store();
    say({ type: 'text-end' });
    await store();
    stop();
    expect(told).toHaveLength(1);
    expect(await stored()).toMatchObject([{ status: 'DONE', text: 'Well' }]);
  });

  test('tells and stores nothing once it knows that somebody else has settled the reply', async () => {
    const { told, say, store, stop } = speaker();
    say({ type: 'text-start' });
    await store();
    run.fence();
    say({ type: 'text-delta', text: 'Late' });
    await store();
    stop();
    expect(told).toMatchObject([{ kind: 'fragments' }]);
    expect(await chunks()).toBe(0);
  });

  test('stores its text once, also when the database did not say that it had', async () => {
    let isCut = false;
    const pool = poolWith(() => {
      if (isCut) throw new Error('cut');
    });
    const { say, store, stop } = speaker({ pool });
    say({ type: 'text-start' });
    await store();
    say({ type: 'text-delta', text: 'Well' });
    isCut = true;
    await expect(store()).rejects.toThrow('cut');
    say({ type: 'text-delta', text: ', so' });
    isCut = false;
    await store();
    stop();
    expect(await stored()).toMatchObject([{ text: 'Well, so' }]);
  });

  test('stores one thing after another, and what comes meanwhile together', async () => {
    let [running, most, storings] = [0, 0, 0];
    const query = async (config: pg.QueryConfig) => {
      storings += 1;
      running += 1;
      most = Math.max(most, running);
      const result = await server.services.pool.query(config);
      running -= 1;
      return result;
    };
    const pool = Object.create(server.services.pool, { query: { value: query } }) as pg.Pool;
    const { say, store, stop } = speaker({ pool });
    say({ type: 'text-start' });
    await store();
    const storing: Promise<void>[] = [];
    for (const text of ['Well', ', so', '.']) {
      say({ type: 'text-delta', text });
      storing.push(store());
    }
    await Promise.all(storing);
    stop();
    expect(await stored()).toMatchObject([{ text: 'Well, so.' }]);
    expect({ most, storings }).toEqual({ most: 1, storings: 3 });
  });

  test.each<[string, ReplyPart[], object[]]>([
    ['text', [{ type: 'text-delta', text: ', so' }], [{ text: 'Well, so', status: 'IN_PROGRESS' }]],
    ['the end of the text', [{ type: 'text-end' }], [{ text: 'Well', status: 'DONE' }]],
    ['the next text', [{ type: 'text-end' }, { type: 'text-start' }], [{ status: 'DONE' }, { status: 'IN_PROGRESS' }]],
  ])('stores soon %s that comes while it stores, though nothing else does', async (_what, parts, expected) => {
    let meanwhile: (() => void) | null = null;
    const pool = poolWith(() => {
      const act = meanwhile;
      meanwhile = null;
      act?.();
    });
    const { say, store, stop } = speaker({ pool });
    say({ type: 'text-start' });
    await store();
    meanwhile = () => parts.forEach(say);
    say({ type: 'text-delta', text: 'Well' });
    await expect.poll(stored, { timeout: DEADLINE_MS }).toMatchObject(expected);
    stop();
  });

  test('waits while somebody else settles the reply, and then stores nothing more', async () => {
    let asked = new Deferred();
    const { say, store, stop } = speaker({ pool: poolWith(() => asked.resolve()) });
    say({ type: 'text-start' });
    await store();
    say({ type: 'text-delta', text: 'Late' });
    let storing: Promise<void> | undefined;
    asked = new Deferred();
    await inTransaction(server.services.pool, async (db) => {
      await settleReply(db, ownReply(), { status: 'STOPPED' });
      storing = store();
      await asked.promise;
    });
    await storing;
    stop();
    expect(run.fenced).toBe(true);
    expect(await stored()).toMatchObject([{ text: '' }]);
    expect(await chunks()).toBe(0);
  });

  test('has the text kept that it was storing when somebody else came to settle the reply', async () => {
    world.say('start');
    await world.checkpoint();
    let settling: Promise<void> | undefined;
    await inTransaction(server.services.pool, async (db) => {
      const pool = Object.create(server.services.pool, { query: { value: db.query.bind(db) } }) as pg.Pool;
      const { say, store, stop } = speaker({ pool });
      say({ type: 'text-delta', text: 'Just in time' });
      await store();
      stop();
      await doneOrBlocked((settling = world.settle('STOPPED')));
    });
    await settling;
    expect(await stored()).toMatchObject([{ text: 'Just in time' }]);
    expect(await chunks()).toBe(0);
  });

  test('is not stopped by what stops the reply before it', async () => {
    await world.settle('STOPPED');
    await world.send();
    const { pool } = server.services;
    expect(await inTransaction(pool, (db) => settleReply(db, ownReply(), { status: 'STOPPED' }))).toBeNull();
    expect(await readHead(pool, world.uuid)).toMatchObject({ version: 6, runningReplyId: world.run?.replyId });
  });
});
