import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReplyPart } from '../src/agents/runtime.ts';
import type { Bus, Hint } from '../src/bus/hints.ts';
import { createConversation } from '../src/conversations/commands/create.ts';
import { deleteConversation } from '../src/conversations/commands/delete.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { updateConversation } from '../src/conversations/commands/update.ts';
import { readFragments, readHead } from '../src/conversations/log/read.ts';
import { settleReply } from '../src/conversations/log/settle.ts';
import { follow } from '../src/conversations/stream/event-order.ts';
import { Feed } from '../src/conversations/stream/feed.ts';
import { FeedRegistry } from '../src/conversations/stream/feed-registry.ts';
import { inTransaction, type Pool } from '../src/db.ts';
import { Checkpoints } from '../src/generation/checkpoints.ts';
import type { Run } from '../src/generation/run.ts';
import { encodeId, newId } from '../src/ids.ts';
import { Deferred } from './harness/deferred.ts';
import {
  agentId,
  DEADLINE_MS,
  lease,
  logger,
  server,
  testReadersOfHistories,
  UnreliableBus,
  until,
  useReaders,
  viewer,
  World,
} from './harness/readers.ts';

useReaders();
testReadersOfHistories(20);

/** A pool that does something between each question's answer and whoever asked it. */
function poolWith(between: (config: pg.QueryConfig) => Promise<void> | void): Pool {
  const { pool } = server.services;
  const query = async (config: pg.QueryConfig) => {
    const result = await pool.query(config);
    await between(config);
    return result;
  };
  return Object.create(pool, { query: { value: query } }) as Pool;
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
    const feed = new Feed(Object.create(pool, { query: { value: query } }) as Pool, logger, uuid);
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

  test('that knows all that is stored of a running reply is not read by a poll, and is once more is stored', async () => {
    const { uuid } = await conversationOf(0);
    const { pool } = server.services;
    const content = { text: 'Hello?' };
    const input = { content, action: 'GENERATE_REPLY', onBusy: 'REJECT', awaitReply: false } as const;
    await sendMessage(server.services, viewer, { conversationId: encodeId('Conversation', uuid), ...input });
    const reply = (await readHead(pool, uuid))?.runningReplyId;
    const addFragment = (index: number, text: string) =>
      pool.query(
        `INSERT INTO fragment (message_id, index, kind, status, text, units) VALUES ($1, $2, 'TEXT', 'IN_PROGRESS', $3, $4)`,
        [reply, index, text, text.length],
      );
    const asked: (string | undefined)[] = [];
    // It polls when told to, and not by itself.
    vi.useFakeTimers({ toFake: ['setInterval'] });
    const feedRegistry = new FeedRegistry(
      poolWith(({ name }) => void asked.push(name)),
      new UnreliableBus().of(0),
      logger,
    );
    try {
      await addFragment(0, 'So');
      const held = await feedRegistry.acquire(uuid);
      const known = () => held?.feed.running?.fragments.map(({ status, text }) => `${text.toString()} ${status}`);
      const more = [
        () =>
          pool.query(
            `INSERT INTO chunk (message_id, fragment_index, "offset", units, reversed) VALUES ($1, 0, 2, 4, 'raf ')`,
            [reply],
          ),
        () => pool.query(`UPDATE chunk SET units = 5, reversed = '.raf ' WHERE message_id = $1`, [reply]),
        () => pool.query(`UPDATE fragment SET status = 'DONE' WHERE message_id = $1`, [reply]),
        () => addFragment(1, ''),
      ];
      const steps = [
        ['So far IN_PROGRESS'],
        ['So far. IN_PROGRESS'],
        ['So far. DONE'],
        ['So far. DONE', ' IN_PROGRESS'],
      ];
      // What was said before it listened is stored by then.
      await until(() => asked.filter((name) => name === 'read-fragments').length === 2, 'for the second look');
      for (const [index, step] of steps.entries()) {
        asked.length = 0;
        await feedRegistry.poll();
        expect(asked).toEqual(['read-extents']);
        await more[index]?.();
        await feedRegistry.poll();
        await until(() => JSON.stringify(known()) === JSON.stringify(step), `for ${step.join(', ')}`);
      }
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
  function speaker(options: { lease?: { isHeld(): boolean }; pool?: Pool } = {}) {
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
    const pool = Object.create(server.services.pool, { query: { value: query } }) as Pool;
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
      const pool = Object.create(server.services.pool, { query: { value: db.query.bind(db) } }) as Pool;
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
