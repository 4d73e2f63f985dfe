import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Pool } from '../src/db.ts';
import type { ReplyPart, Runtime } from '../src/agents/runtime.ts';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { Lease } from '../src/generation/lease.ts';
import { type Runner } from '../src/generation/runner.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { Shutdown } from '../src/shutdown-deadline.ts';
import { createRunner } from './harness/runner.ts';
import { readMessage, send, stop } from './harness/commands.ts';
import { replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

const { server, runtime, idle } = useScriptedServer();
/** It hears nothing of the other one but through the rows. */
let deaf: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  const url = new URL(server.databaseUrl);
  // It finds rows in the order in which they lie, which nobody may rely on.
  url.searchParams.set('options', '-c enable_indexscan=off -c enable_indexonlyscan=off');
  deaf = await startServer(url.href, { config: { eventsUrl: 'memory:' } });
});
afterAll(() => deaf.close());

async function begin(text: string) {
  const { id: conversationId } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  const replyId = reply?.id ?? '';
  const script = await runtime.replyTo(text);
  await script.begin();
  await store(replyId);
  return { replyId, script };
}

/** Has all stored that a running reply has said. */
async function store(replyId: string, runner: Pick<Runner, 'suspend'> = server.services.runner): Promise<void> {
  const resume = await runner.suspend(decodeId('Message', replyId) ?? '');
  resume();
}

/** The rows that hold the text of a running reply. */
async function chunksOf(replyId: string): Promise<{ offset: number; units: number }[]> {
  const { rows } = await server.services.pool.query<{ offset: number; units: number }>(
    'SELECT "offset", units FROM chunk WHERE message_id = $1 ORDER BY "offset"',
    [decodeId('Message', replyId)],
  );
  return rows;
}

/** The rows of a message, as they are stored. */
async function fragmentsOf(messageId: string): Promise<{ text: string; units: number }[]> {
  const { rows } = await server.services.pool.query<{ text: string; units: number }>(
    'SELECT text, units FROM fragment WHERE message_id = $1',
    [decodeId('Message', messageId)],
  );
  return rows;
}

/** Whoever joins now, on any server, and whoever reads the message is given exactly this. */
async function expectToBeRead(replyId: string, said: string): Promise<void> {
  for (const target of [server, deaf]) {
    const follower = record(replyEvents(target, { replyId }));
    await follower.until((events) => textOf(events, replyId).length >= said.length);
    expect(textOf(follower.events, replyId)).toBe(said);
    await follower.leave();
    expect((await readMessage(target, replyId)).text).toBe(said);
  }
}

/** Fifty units that PostgreSQL counts as fewer: pairs, families, marks that combine, ideographs beyond the first plane. */
const pieces = Array.from(
  { length: 12 },
  (_, i) => `${i}: 👩‍👩‍👧‍👦🇩🇪 Zu\u0308rich, नमस्ते 漢字𠮷野家 `.padEnd(48, '。') + '🙂',
);

describe('the text of a running reply', () => {
  test('grows one row until it holds 500 units, then the next, and is read as it was said all the while', async () => {
    expect(pieces.map(({ length }) => length)).toEqual(pieces.map(() => 50));
    const { replyId, script } = await begin('Say something long in many words.');
    let said = '';
    for (const piece of pieces) {
      // Cut inside its last pair.
      await script.write(piece.slice(0, -1), piece.slice(-1));
      await store(replyId);
      said += piece;
      const { length } = said;
      const [first, next] = [Math.min(length, 500), length - 500];
      expect(await chunksOf(replyId)).toEqual([
        { offset: 0, units: first },
        ...(next > 0 ? [{ offset: 500, units: next }] : []),
      ]);
      if (length % 250 === 0) await expectToBeRead(replyId, said);
    }
    await expectToBeRead(replyId, said);
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    expect(await chunksOf(replyId)).toEqual([]);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: said });
    expect(await fragmentsOf(replyId)).toEqual([{ text: said, units: said.length }]);
  });

  test('that comes in one long piece is one row, which does not grow', async () => {
    const { replyId, script } = await begin('Say it all at once.');
    const [long, short] = ['So: '.repeat(150), 'That is all. 🙂'];
    for (const piece of [long, short]) {
      await script.write(piece);
      await store(replyId);
    }
    expect(await chunksOf(replyId)).toEqual([
      { offset: 0, units: long.length },
      { offset: long.length, units: short.length },
    ]);
    await expectToBeRead(replyId, long + short);
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: long + short });
  });

  test('keeps its order, however its rows lie', async () => {
    const { replyId, script } = await begin('One, two, three.');
    const said = ['One: ', 'Two: ', 'Three: '].map((word) => word.repeat(120));
    for (const piece of said) {
      await script.write(piece);
      await store(replyId);
    }
    await server.services.pool.query(
      `WITH first AS (DELETE FROM chunk WHERE message_id = $1 AND "offset" = 0 RETURNING *)
        INSERT INTO chunk SELECT * FROM first`,
      [decodeId('Message', replyId)],
    );
    expect(await chunksOf(replyId)).toHaveLength(3);
    await expectToBeRead(replyId, said.join(''));
    expect((await stop(deaf, replyId)).reply).toMatchObject({ status: 'STOPPED', text: said.join('') });
  });

  test('is stored once, whichever statement it was whose answer was lost', async () => {
    let isCut = false;
    const losing = (question: pg.QueryConfig) => {
      if (isCut && question.name === 'checkpoint') throw new Error('cut');
    };
    const text = 'Say it once.';
    const { runner, replyId, close } = await replyElsewhere(text, server.services.runtimes, losing);
    const script = await runtime.replyTo(text);
    let said = '';
    /** Does it, and loses the answer to its checkpoint at least once; meanwhile the reply goes on. */
    const losingTheAnswer = async (say: () => Promise<void>) => {
      isCut = true;
      await say();
      await expect(store(replyId, runner)).rejects.toThrow('cut');
      isCut = false;
      await store(replyId, runner);
      expect((await readMessage(server, replyId)).text).toBe(said);
    };
    await losingTheAnswer(() => script.begin());
    for (const piece of pieces) {
      await losingTheAnswer(async () => {
        await script.write(piece);
        await expect(store(replyId, runner)).rejects.toThrow('cut');
        await script.write(piece);
        said += piece + piece;
      });
    }
    expect((await chunksOf(replyId)).map(({ offset }) => offset)).toEqual([0, 500, 1000]);
    await losingTheAnswer(() => script.say({ type: 'text-end' }));
    await script.say({ type: 'finish' });
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({
      status: 'DONE',
      text: said,
      fragments: [{ text: said }],
    });
    await close();
  });

  test('that is complete at once is stored with its end, and is told from its start to its end', async () => {
    const parts: ReplyPart[] = [
      { type: 'text-start' },
      { type: 'text-delta', text: 'All' },
      { type: 'text-delta', text: ' of it.' },
      { type: 'text-end' },
      { type: 'finish' },
    ];
    const atOnce: Runtime = {
      name: 'at once',
      parametersSchema: {},
      async *reply() {
        yield await Promise.resolve(parts);
      },
    };
    const statements: (string | undefined)[] = [];
    const { replyId, close } = await replyElsewhere('All of it?', { get: () => atOnce }, ({ name }) => {
      statements.push(name);
    });
    const told = await record(replyEvents(server, { replyId })).ended();
    expect(statements).toEqual(['load-turn', 'settle-release']);
    expect(told.map(({ __typename }) => __typename)).toEqual([
      'MessageCreated',
      'FragmentStarted',
      'FragmentDelta',
      'FragmentCompleted',
      'MessageCompleted',
    ]);
    expect(await readMessage(server, replyId)).toMatchObject({
      status: 'DONE',
      text: 'All of it.',
      fragments: [{ text: 'All of it.' }],
    });
    await close();
  });
});

/** Has a reply begin that is run beside the server, by a runner that calls `asked` with each statement when it is done. */
async function replyElsewhere(
  text: string,
  runtimes: ConstructorParameters<typeof Runner>[0]['runtimes'],
  asked: (question: pg.QueryConfig) => void,
) {
  const { services, key, databaseUrl } = server;
  const { pool, bus } = services;
  const logger = createLogger({ level: 'silent' });
  const query = async (question: pg.QueryConfig) => {
    const result = await pool.query(question);
    asked(question);
    return result;
  };
  const viewer = await findViewerByKey(pool, key);
  if (!viewer) throw new Error('The server has no first key.');
  const lease = new Lease({ databaseUrl, seconds: 300, newId, logger, onLost: () => undefined });
  await lease.start();
  const runner = createRunner({ pool: Object.create(pool, { query: { value: query } }) as Pool, bus, lease, runtimes });
  const { id: conversationId } = await idle();
  const input = { conversationId, content: { text }, action: 'GENERATE_REPLY', onBusy: 'REJECT' } as const;
  const owned = { ...services, runner, serverId: () => lease.serverId };
  const sent = await sendMessage(owned, viewer, { ...input, awaitReply: false });
  return {
    runner,
    replyId: encodeId('Message', sent.replyId ?? ''),
    close: async () => {
      await runner.stop(new Shutdown(60), { operations: Promise.resolve(), graceMs: 0, settleMs: 3000 });
      await lease.stop();
    },
  };
}

test('the text of a message that is stored at once is as long in its row as that of a reply', async () => {
  const { id: conversationId } = await idle();
  const text = pieces.join('');
  const { message } = await send(server, { conversationId, content: { text }, action: 'NONE' });
  expect(await fragmentsOf(message.id)).toEqual([{ text, units: text.length }]);
});
