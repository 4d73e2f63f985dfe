import { afterAll, describe, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { graphql, openSocket, RefusedError, subscribeSse, subscribeWs, upgradeStatus } from './harness/client.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { conversationEvents, type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { usePrograms } from './harness/process.ts';
import { record } from './harness/recording.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';
import { tcpProxy } from './harness/tcp-proxy.ts';

// Conversations are made and read on a server that stays; their replies run on one that goes.
const { server, runtime, idle } = useScriptedServer();
const programs = usePrograms({ after: afterAll });

function startBrief(graceSeconds: number) {
  return startServer(server.databaseUrl, { runtimes: [runtime], config: { graceSeconds } });
}

async function begin(brief: Awaited<ReturnType<typeof startBrief>>, text: string) {
  const { id: conversationId } = await idle();
  const { reply } = await send(brief, { conversationId, content: { text } });
  const script = await runtime.replyTo(text);
  await script.begin('So far, ');
  return { conversationId, replyId: reply?.id ?? '', script };
}

const transports = [
  ['by WebSocket', subscribeWs],
  ['by SSE', subscribeSse],
] as const;

describe('a server that is told to terminate', () => {
  test('lets a reply end that needs no longer than the grace period', async () => {
    const brief = await startBrief(20);
    const { replyId, script } = await begin(brief, 'Just a moment.');
    const closed = brief.close();
    expect((await fetch(`${brief.url}/ready`)).status).toBe(503);
    await script.write('so good.');
    await script.end();
    await closed;
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'So far, so good.' });
  });

  test('settles a reply that needs longer, with all the text it has, and says so', async () => {
    const brief = await startBrief(0);
    const { conversationId, replyId, script } = await begin(brief, 'This will take a while.');
    await brief.close();
    await script.aborted;
    await script.write('but no further');
    const reply = await readMessage(server, replyId);
    expect(reply).toMatchObject({ status: 'ERROR', text: 'So far, ', fragments: [{ status: 'IN_PROGRESS' }] });
    expect(reply.errorDetail).toMatch(/shut down/);
    const content = { text: 'And now?' };
    await send(server, { conversationId, content, action: 'NONE', expectedVersion: 4 });
  });

  test('takes no more work while it waits for its replies', async () => {
    const brief = await startBrief(20);
    const { script } = await begin(brief, 'Hold the door.');
    const closed = brief.close();
    const status = async (path: string, init?: RequestInit) => (await fetch(`${brief.url}${path}`, init)).status;
    expect(await status('/health')).toBe(200);
    expect(await status('/ready')).toBe(503);
    expect(await status('/graphql', { method: 'POST', body: '{"query":"{ viewer { kind } }"}' })).toBe(503);
    expect(await upgradeStatus(brief)).toBe(503);
    await script.end();
    await closed;
  });

  test('takes no more over a WebSocket that is open already, and says when to try again', async () => {
    const brief = await startBrief(20);
    const { conversationId, script } = await begin(brief, 'Keep it open.');
    const socket = openSocket(brief);
    const query = `mutation ($id: ID!) { sendMessage(input: { conversationId: $id, content: { text: "Too late?" }, onBusy: INTERRUPT }) { __typename } }`;
    const ask = (text: string) => async () => {
      for await (const result of subscribeWs(brief, text, { id: conversationId }, { socket })) return result;
      return undefined;
    };
    // Holds it open.
    const follower = record(
      conversationEvents(brief, { conversationId }, (...args) => subscribeWs(args[0], args[1], args[2], { socket })),
    );
    expect(await ask('query ($id: ID!) { conversation(id: $id) { id } }')()).toMatchObject({});
    const closed = brief.close();
    for (const text of [query, 'subscription ($id: ID!) { conversationEvents(conversationId: $id) { cursor } }']) {
      const refusal = await ask(text)().catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(RefusedError);
      expect(refusal).toMatchObject({ errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }] });
    }
    await script.end();
    await closed;
    await follower.leave();
    await socket.dispose();
  });

  test('refuses over HTTP as the API does, and closes the connection with each response', async () => {
    const brief = await startBrief(20);
    const { script } = await begin(brief, 'And by HTTP?');
    const closed = brief.close();
    const response = await fetch(`${brief.url}/graphql`, { method: 'POST', body: '{"query":"{ viewer { kind } }"}' });
    expect([response.status, response.headers.get('retry-after'), response.headers.get('connection')]).toEqual([
      503,
      '1',
      'close',
    ]);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', retryAfter: 1 } }],
    });
    await script.end();
    await closed;
  });

  test('goes on taking work while it drains, when it says that it is not ready', async () => {
    const brief = await startServer(server.databaseUrl, {
      runtimes: [runtime],
      config: { graceSeconds: 0, drainSeconds: 60, shutdownSeconds: 120 },
    });
    const hurry = new AbortController();
    const closed = brief.close({ drain: true, hurry: hurry.signal });
    expect((await fetch(`${brief.url}/ready`)).status).toBe(503);
    const response = await fetch(`${brief.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${brief.key}` },
      body: '{"query":"{ viewer { kind } }"}',
    });
    expect([response.status, response.headers.get('connection')]).toEqual([200, 'close']);
    hurry.abort();
    await closed;
  });

  test('carries out what it accepted: a send that commits after its grace is over has its reply settled', async () => {
    const brief = await startBrief(0);
    const { id: conversationId } = await idle();
    const lock = await server.services.pool.connect();
    await lock.query('BEGIN');
    await lock.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [decodeId('Conversation', conversationId)]);
    const sending = graphql<{ sendMessage: { reply: { id: string } } }>(
      brief,
      'mutation ($id: ID!) { sendMessage(input: { conversationId: $id, content: { text: "At the last moment." } }) { ... on SendMessagePayload { reply { id } } } }',
      { id: conversationId },
    );
    await expect
      .poll(async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        return (await server.services.pool.query(waiting)).rowCount;
      })
      .toBeGreaterThan(0);
    const closed = brief.close();
    await expect.poll(async () => (await fetch(`${brief.url}/ready`)).status).toBe(503);
    await lock.query('COMMIT');
    lock.release();
    const { data } = await sending;
    await closed;
    const reply = await readMessage(server, data?.sendMessage.reply.id ?? '');
    expect(reply).toMatchObject({ status: 'ERROR' });
    expect(reply.errorDetail).toMatch(/shut down/);
  });

  test('leaves no lease behind for others to wait for', async () => {
    const { prisma } = server.services;
    const before = await prisma.server.count();
    const brief = await startBrief(0);
    expect(await prisma.server.count()).toBe(before + 1);
    await brief.close();
    expect(await prisma.server.count()).toBe(before);
  });

  // Side by side, since most of them wait.
  test.concurrent.each(transports)(
    'tells those who follow a reply %s of its end before it goes',
    async (name, subscribe) => {
      const brief = await startBrief(20);
      const { replyId, script } = await begin(brief, `Tell me ${name}.`);
      const follower = record(replyEvents(brief, { replyId }, subscribe));
      await follower.until((events) => textOf(events, replyId) === 'So far, ');
      const closed = brief.close();
      await script.write('and no further.');
      await script.end();
      const events = await follower.ended();
      expect(textOf(events, replyId)).toBe('So far, and no further.');
      expect(events.at(-1)).toMatchObject({ __typename: 'MessageCompleted', message: { status: 'DONE' } });
      await closed;
    },
  );

  test.concurrent.each(transports)(
    'breaks the streams off %s: to complete them would mean that nothing more comes',
    async (_name, subscribe) => {
      const brief = await startBrief(0);
      const { id: conversationId, cursor: after } = await idle();
      const follower = record(conversationEvents(brief, { conversationId, after }, subscribe));
      await send(server, { conversationId, content: { text: 'Anybody there?' }, action: 'NONE' });
      await follower.until((events) => events.length > 0);
      await brief.close();
      await expect(follower.ended()).rejects.toBeDefined();
      const last: Event | undefined = follower.events.at(-1);
      const resumed = record(conversationEvents(server, { conversationId, after: last?.cursor ?? '' }, subscribe));
      await send(server, { conversationId, content: { text: 'Here I am.' }, action: 'NONE' });
      await resumed.until((events) => events.length > 0);
      expect(resumed.events).toMatchObject([{ version: 3, message: { text: 'Here I am.' } }]);
      await resumed.leave();
    },
  );

  test.concurrent('ends within its time although the database is away', async () => {
    const proxy = await tcpProxy(server.databaseUrl);
    const brief = await startServer(proxy.url, {
      runtimes: [runtime],
      config: { graceSeconds: 0, shutdownSeconds: 2 },
    });
    await begin(brief, 'Nobody stores this.');
    proxy.silence();
    await brief.close();
    await proxy.close();
  });

  test.concurrent(
    'ends within its time although a reply is locked in the database, and says that others will settle it',
    async ({ onTestFinished }) => {
      const program = await programs.start({
        DATABASE_URL: server.databaseUrl,
        BOOTSTRAP_API_KEY: server.key,
        GRACE_SECONDS: '0',
        DRAIN_SECONDS: '0',
        SHUTDOWN_SECONDS: '5',
      });
      const { conversation } = await createConversation(
        { url: program.url, key: server.key },
        { message: { content: { text: 'How do I stop a reply?' } }, runtimeParameters: { wordsPerSecond: 1 } },
      );
      const lock = await server.services.pool.connect();
      onTestFinished(async () => {
        await lock.query('ROLLBACK');
        lock.release();
      });
      await lock.query('BEGIN');
      await lock.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [
        decodeId('Conversation', conversation.id),
      ]);
      expect(await program.kill('SIGTERM')).toBe(0);
      expect(program.stderr).toContain('could not settle 1 replies; other servers will');
      expect(program.stderr).not.toContain('took longer than');
    },
  );
});
