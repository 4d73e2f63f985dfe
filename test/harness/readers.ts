import type { StreamEvent } from '../../src/conversations/stream/stream-event.ts';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { findViewerByKey } from '../../src/access/api-keys.ts';
import type { Viewer } from '../../src/access/viewer.ts';
import type { ReplyPart } from '../../src/agents/runtime.ts';
import { createConversation } from '../../src/conversations/commands/create.ts';
import type { Committed } from '../../src/conversations/log/commit.ts';
import { cursorAt, decodeCursor, type StreamPosition } from '../../src/conversations/stream/cursor.ts';
import { deleteConversation } from '../../src/conversations/commands/delete.ts';
import type { Feed } from '../../src/conversations/stream/feed.ts';
import { FeedRegistry } from '../../src/conversations/stream/feed-registry.ts';
import { readFragments } from '../../src/conversations/log/read.ts';
import { sendMessage } from '../../src/conversations/commands/send.ts';
import { settleReply } from '../../src/conversations/log/settle.ts';
import { conversationStream, eventsOf } from '../../src/conversations/stream/stream.ts';
import { updateConversation } from '../../src/conversations/commands/update.ts';
import { inTransaction, type Pool } from '../../src/db.ts';
import type { Bus, Hint, HintListener, Reach } from '../../src/bus/hints.ts';
import { Checkpoints } from '../../src/generation/checkpoints.ts';
import { Run } from '../../src/generation/run.ts';
import type { Services } from '../../src/graphql/context.ts';
import { encodeId } from '../../src/ids.ts';
import { createLogger } from '../../src/logger.ts';
import { Deferred } from './deferred.ts';
import { createAgent, ScriptedRuntime } from './scripted-runtime.ts';
import { type TestServer, useServer } from './server.ts';

export const logger = createLogger({ level: 'silent' });
export const lease = { isHeld: () => true };

/** There once `useReaders` was called, and from then on in hooks and tests. */
export let server: TestServer;
export let viewer: Viewer;
export let agentId: string;

/** A server for all that follows. To be called once in a file, before the rest. */
export function useReaders(): void {
  server = useServer({ runtimes: [new ScriptedRuntime()] });
  beforeAll(async () => {
    agentId = await createAgent(server.services, 'scripted');
    const found = await findViewerByKey(server.services.pool, server.key);
    if (!found) throw new Error('The server has no first key.');
    viewer = found;
  });
}

/** What no reader needs when all it can read is there. */
export const DEADLINE_MS = 5_000;

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
export class UnreliableBus {
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
  pool?: Pool;
  /** Whether the servers ever look for what no hint has told them of. */
  polls?: boolean;
}

/** One conversation: who writes it, the servers that follow it, and their readers. */
export class World {
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
export async function until(holds: () => boolean, what: string): Promise<void> {
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

/** A test that in whatever history of so many readers end with what is stored. More of other ones: `RUNS=10000 SEED=1`. */
export function testReadersOfHistories(histories: number): void {
  const { RUNS = String(histories), SEED = '20261122' } = process.env;

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
}
