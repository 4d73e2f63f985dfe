import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lease } from '../src/generation/lease.ts';
import { Recovery } from '../src/generation/recovery.ts';
import { decodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/observability.ts';
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

const log = createLogger({ level: 'silent' });

/** The sweep of a server that has just come to life. */
function recovery({ services: { pool, bus } }: Pick<typeof other, 'services'>): Recovery {
  const lease = new Lease({ pool, seconds: 5, newId, log, onLost: () => undefined });
  return new Recovery({ pool, bus, log, lease, runner: { start: () => undefined } });
}

async function begin(text: string) {
  const { id: conversationId } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { conversationId, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

/** As if the reply's server had died this many seconds after its last sign of life. */
async function orphan(conversationId: string, secondsAgo = 60): Promise<string> {
  const serverId = newId();
  await server.services.pool.query(
    `WITH dead AS (
      INSERT INTO server (id, started_at, expires_at) VALUES ($1, now() - interval '1 day', now() - make_interval(secs => $2))
    )
    UPDATE conversation SET generating_server_id = $1 WHERE id = $3`,
    [serverId, secondsAgo, decodeId('Conversation', conversationId)],
  );
  return serverId;
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

  test('are settled too when the row of their server is gone', async () => {
    const { conversationId, replyId } = await begin('Gone without a trace.');
    const serverId = await orphan(conversationId);
    await server.services.pool.query('DELETE FROM server WHERE id = $1', [serverId]);
    expect(await recovery(other).sweep()).toBe(1);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR', text: '', fragments: [] });
  });

  test('leave no row of their server behind', async () => {
    const { conversationId } = await begin('Clean up.');
    const serverId = await orphan(conversationId);
    await recovery(other).sweep();
    const { rowCount } = await server.services.pool.query('SELECT FROM server WHERE id = $1', [serverId]);
    expect(rowCount).toBe(0);
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
