import { describe, expect, test } from 'vitest';
import { subscribeSse, subscribeWs, upgradeStatus } from './harness/client.ts';
import { readMessage, send } from './harness/commands.ts';
import { conversationEvents, type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

// Conversations are made and read on a server that stays; their replies run on one that goes.
const { server, runtime, idle } = useScriptedServer();

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

  test('leaves no lease behind for others to wait for', async () => {
    const { prisma } = server.services;
    const before = await prisma.server.count();
    const brief = await startBrief(0);
    expect(await prisma.server.count()).toBe(before + 1);
    await brief.close();
    expect(await prisma.server.count()).toBe(before);
  });

  test.each(transports)('tells those who follow a reply %s of its end before it goes', async (name, subscribe) => {
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
  });

  test.each(transports)(
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
});
