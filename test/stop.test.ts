import { setImmediate } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Pool } from '../src/db.ts';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { Lease } from '../src/generation/lease.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { Shutdown } from '../src/shutdown-deadline.ts';
import { createRunner } from './harness/runner.ts';
import { readMessage, send, stop, tryStop } from './harness/commands.ts';
import { conversationEvents, type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { countRows, readLog } from './harness/rows.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

const { server, runtime, idle } = useScriptedServer();
/** It hears nothing of the other one but through the rows, and the other nothing of it. */
let deaf: Awaited<ReturnType<typeof startServer>>;
let hearing: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  [deaf, hearing] = await Promise.all([
    startServer(server.databaseUrl, { config: { eventsUrl: 'memory:' } }),
    startServer(server.databaseUrl),
  ]);
});
afterAll(() => Promise.all([deaf.close(), hearing.close()]));

async function begin(text: string) {
  const { id: conversationId, cursor } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { conversationId, cursor, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

const completed = (events: readonly Event[]) => events.some(({ __typename }) => __typename === 'MessageCompleted');

describe('stopping a reply', () => {
  test('keeps exactly the text that was seen, its last fragment in progress', async () => {
    const { conversationId, replyId, script } = await begin('Talk to me.');
    const follower = record(replyEvents(server, { replyId }));
    await script.begin('A finished thought.');
    await script.say({ type: 'text-end' });
    await script.begin('Half a th');
    await follower.until((events) => textOf(events, replyId) === 'A finished thought.Half a th');

    const { reply, conversation } = await stop(server, replyId);
    expect(reply).toMatchObject({
      id: replyId,
      status: 'STOPPED',
      errorDetail: null,
      completedAt: expect.any(String),
      text: 'A finished thought.Half a th',
      fragments: [
        { status: 'DONE', text: 'A finished thought.' },
        { status: 'IN_PROGRESS', text: 'Half a th' },
      ],
    });
    expect(conversation).toEqual({ id: conversationId, version: 4, runningReply: null });
    const events = await follower.ended();
    expect(events.at(-1)).toMatchObject({ message: { status: 'STOPPED', text: 'A finished thought.Half a th' } });
    expect(textOf(events, replyId)).toBe('A finished thought.Half a th');
    expect(await readMessage(server, replyId)).toEqual(reply);
  });

  test('stores and delivers not one character more, though the runtime goes on talking', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('Be quiet.');
    const follower = record(conversationEvents(server, { conversationId, after }));
    await script.begin('This much.');
    await follower.until((events) => textOf(events, replyId) === 'This much.');
    const { reply } = await stop(server, replyId);
    await script.aborted;
    await script.write(' And this.');
    await script.end();
    await send(server, { conversationId, content: { text: 'Anything else?' }, action: 'NONE' });
    await follower.until((events) => events.some((event) => 'version' in event && event.version === 5));
    expect(follower.events.map(({ __typename }) => __typename)).toEqual([
      'MessageCreated',
      'MessageCreated',
      'FragmentStarted',
      'FragmentDelta',
      'MessageCompleted',
      'MessageCreated',
    ]);
    expect(await readMessage(server, replyId)).toEqual(reply);
    expect(await server.services.prisma.chunk.count({ where: { messageId: decodeId('Message', replyId) ?? '' } })).toBe(
      0,
    );
    await follower.leave();
  });

  test('in the middle of a flood of text settles on one text for everybody', async () => {
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const { replyId, script } = await begin(`Flood ${i}.`);
        const followers = [server, deaf].map((target) => record(replyEvents(target, { replyId })));
        await Promise.all(followers.map((follower) => follower.until((events) => events.length > 0)));
        let stopped = false;
        const flood = (async () => {
          await script.begin();
          for (let word = 0; !stopped; word += 1) {
            await script.write(`${word} 🌊 `);
            await setImmediate();
          }
        })();
        try {
          const seen = (await followers[0]?.until((events) => events.length > 3 * i)) ?? [];
          const told = textOf(seen, replyId);
          const { reply } = await stop(i % 2 ? server : deaf, replyId);
          // A stop from elsewhere may cut what was told but not stored yet; one from here cuts nothing.
          if (i % 2) expect(reply.text.startsWith(told)).toBe(true);
          for (const follower of followers) expect(textOf(await follower.ended(), replyId)).toBe(reply.text);
          await script.aborted;
          expect(await readMessage(server, replyId)).toEqual(reply);
        } finally {
          stopped = true;
          await flood;
        }
      }),
    );
  });

  test('on another server ends it where it runs, even when no hint gets through', async () => {
    const { replyId, script } = await begin('From afar.');
    const followers = [server, deaf].map((target) => record(replyEvents(target, { replyId })));
    await script.begin('Near and far');
    await Promise.all(
      followers.map((follower) => follower.until((events) => textOf(events, replyId) === 'Near and far')),
    );
    const { reply } = await stop(deaf, replyId);
    expect(reply).toMatchObject({ status: 'STOPPED', text: 'Near and far' });
    await script.write(', wherever you are');
    await script.aborted;
    for (const follower of followers) expect(textOf(await follower.ended(), replyId)).toBe('Near and far');
    expect(await readMessage(server, replyId)).toEqual(reply);
  });

  test('on another server is heard of where it runs, though it says nothing more, and by those who follow on both', async () => {
    const { replyId, script } = await begin('From nearby.');
    const followers = [server, hearing].map((target) => record(replyEvents(target, { replyId })));
    await script.begin('Near');
    await Promise.all(followers.map((follower) => follower.until((events) => textOf(events, replyId) === 'Near')));
    const { reply } = await stop(hearing, replyId);
    await script.aborted;
    for (const follower of followers) expect(textOf(await follower.ended(), replyId)).toBe(reply.text);
    expect(await readMessage(server, replyId)).toEqual(reply);
  });

  test('before it has said anything leaves it empty', async () => {
    const { replyId, script } = await begin('Never mind.');
    expect((await stop(server, replyId)).reply).toMatchObject({ status: 'STOPPED', text: '', fragments: [] });
    await script.aborted;
    await script.begin('What?');
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'STOPPED', text: '', fragments: [] });
  });

  test('before its agent is asked for it leaves the agent alone', async () => {
    const { services, key } = server;
    const { pool, bus, runtimes } = services;
    const viewer = await findViewerByKey(pool, key);
    if (!viewer) throw new Error('The server has no first key.');
    const query = async (question: pg.QueryConfig) => {
      if (question.name === 'load-turn') await stop(deaf, encodeId('Message', String(question.values?.[0])));
      return pool.query(question);
    };
    const slow = Object.create(pool, { query: { value: query } }) as Pool;
    const logger = createLogger({ level: 'silent' });
    const lease = new Lease({ databaseUrl: server.databaseUrl, seconds: 300, newId, logger, onLost: () => undefined });
    await lease.start();
    const runner = createRunner({ pool: slow, bus, lease, runtimes });
    const reply = vi.spyOn(runtime, 'reply');
    const { id: conversationId } = await idle();
    const input = { conversationId, content: { text: 'Forget it.' }, action: 'GENERATE_REPLY' } as const;
    const sent = await sendMessage({ ...services, runner, serverId: () => lease.serverId }, viewer, {
      ...input,
      onBusy: 'REJECT',
      awaitReply: false,
    });
    await runner.stop(new Shutdown(60), { operations: Promise.resolve(), graceMs: 0, settleMs: 3000 });
    await lease.stop();
    expect(reply).not.toHaveBeenCalled();
    reply.mockRestore();
    expect(await readMessage(server, encodeId('Message', sent.replyId ?? ''))).toMatchObject({ status: 'STOPPED' });
  });

  test('lets the conversation go on, with the partial text in mind', async () => {
    const { conversationId, replyId, script } = await begin('Count to ten.');
    await script.begin('1, 2, 3');
    await stop(server, replyId);
    const { reply } = await send(server, { conversationId, content: { text: 'Now backwards.' } });
    const next = await runtime.replyTo('Now backwards.');
    expect(next.turn.history.map(({ text }) => text)).toEqual(['Count to ten.', '1, 2, 3', 'Now backwards.']);
    await next.begin('10, 9, 8');
    await next.end();
    await record(replyEvents(server, { replyId: reply?.id ?? '' })).ended();
    expect(await readMessage(server, reply?.id ?? '')).toMatchObject({ status: 'DONE', text: '10, 9, 8' });
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'STOPPED', text: '1, 2, 3' });
  });
});

describe('stopping again', () => {
  test('by many at once on two servers stops it once, and tells all the same', async () => {
    const { conversationId, replyId, script } = await begin('Everyone stop!');
    await script.begin('But I');
    await record(replyEvents(deaf, { replyId })).until((events) => textOf(events, replyId) === 'But I');
    const stops = await Promise.all(Array.from({ length: 10 }, (_, i) => stop(i % 2 ? server : deaf, replyId)));
    for (const { reply } of stops) expect(reply).toEqual(stops[0]?.reply);
    expect(stops[0]?.reply).toMatchObject({ status: 'STOPPED', text: 'But I' });
    const log = await readLog(server.services.pool, decodeId('Conversation', conversationId) ?? '');
    expect(log.map(({ type }) => type)).toEqual([
      'ConversationCreated',
      'MessageCreated',
      'MessageCreated',
      'MessageCompleted',
    ]);
  });

  test('or stopping a reply that has ended returns it as it is and changes nothing', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('Quick.');
    await script.begin('Done.');
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    const before = await countRows(server.services.pool);
    const stopped = await stop(server, replyId);
    expect(stopped).toMatchObject({ conversation: { version: 4 }, reply: { status: 'DONE', text: 'Done.' } });
    expect(await stop(server, replyId)).toEqual(stopped);
    expect(await countRows(server.services.pool)).toEqual(before);

    // While the next reply runs, the late click must not hit that one.
    await send(server, { conversationId, content: { text: 'Next one.' } });
    const next = await runtime.replyTo('Next one.');
    const follower = record(conversationEvents(server, { conversationId, after }));
    await stop(server, replyId);
    // Nor what is heard again, and late, of the first one's end.
    const uuids = {
      conversationId: decodeId('Conversation', conversationId) ?? '',
      settled: decodeId('Message', replyId) ?? '',
    };
    server.services.bus.publish({ kind: 'log', version: 4, ...uuids });
    await next.begin('Unharmed.');
    await next.end();
    await follower.until((events) => events.filter((event) => completed([event])).length === 2);
    expect(follower.events.at(-1)).toMatchObject({ message: { status: 'DONE', text: 'Unharmed.' } });
    await follower.leave();
  });
});

describe('what cannot be stopped', () => {
  test('a message that is not a reply is an invalid input', async () => {
    const { id: conversationId } = await idle();
    const { message } = await send(server, { conversationId, content: { text: 'Mine.' }, action: 'NONE' });
    expect(await tryStop(server, message.id)).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['replyId'] }],
    });
  });

  test.each([encodeId('Message', newId()), encodeId('Conversation', newId()), 'msg_nonsense', ''])(
    'nothing is found for %j',
    async (id) => {
      expect(await tryStop(server, id)).toMatchObject({ __typename: 'NotFoundError', path: ['replyId'] });
    },
  );
});
