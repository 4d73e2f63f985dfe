import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import type { Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { useDatabase } from './harness/database.ts';
import { conversationEvents } from './harness/events.ts';
import { findNats } from './harness/nats.ts';
import { record } from './harness/recording.ts';
import { findRedis } from './harness/redis.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';

const SERVERS = 3;

const redis = await findRedis();
const nats = await findNats();
afterAll(() => Promise.all([redis?.release(), nats?.release()]));

for (const [name, found] of [
  ['Redis', redis],
  ['NATS', nats],
] as const) {
  const skipped = found ? '' : ' (skipped: it does not answer and cannot be started)';
  describe.skipIf(!found)(`servers on ${name}${skipped}`, () => {
    const database = useDatabase();
    const runtime = new ScriptedRuntime();
    const servers: (App & Target)[] = [];
    let agentId = '';

    beforeAll(async () => {
      const config = { eventsUrl: found?.url };
      for (let i = 0; i < SERVERS; i += 1) {
        servers.push(await startServer(database.url, { runtimes: [runtime], config }));
      }
      const [first] = servers;
      if (first) agentId = await createAgent(first.services, 'scripted');
    });
    afterAll(() => Promise.all(servers.map((server) => server.close())));

    test('each hears of the conversations that it generates or follows, and of no other', async () => {
      const heard = servers.map(({ services }) => hear(services.bus));
      // The replies of each server are followed on the next one.
      const conversations = await Promise.all(
        servers.map(async (server, index) => {
          const { conversation, cursor } = await createConversation(server, { agentId, action: 'NONE' });
          const follower = servers[(index + 1) % SERVERS] ?? server;
          const variables = { conversationId: conversation.id, after: cursor };
          return { server, id: conversation.id, followed: record(conversationEvents(follower, variables)) };
        }),
      );
      for (const { server, id, followed } of conversations) {
        await send(server, { conversationId: id, content: { text: `Tell ${id}.` } });
        const script = await runtime.replyTo(`Tell ${id}.`);
        await script.begin('Once ', 'upon ');
        await followed.until((events) => events.some(({ __typename }) => __typename === 'FragmentDelta'));
        await script.write('a ', 'time.');
        await script.end();
        await followed.until((events) => events.some(({ __typename }) => __typename === 'MessageCompleted'));
        await followed.leave();
      }

      // What was told before this has been heard, if it was to be.
      for (const [index, { services }] of servers.entries()) {
        services.bus.publish({ kind: 'revoked', keyId: `none of server ${index}` });
      }
      await Promise.all(heard.map(({ ended }) => ended));
      const ids = conversations.map(({ id }) => decodeId('Conversation', id));
      for (const [index, { of }] of heard.entries()) {
        const own = [ids[index], ids[(index + SERVERS - 1) % SERVERS]];
        expect([...of].toSorted()).toEqual(own.toSorted());
      }
    });
  });
}

/** The conversations that a server hears of, until each server has revoked a key. */
function hear(bus: App['services']['bus']): { of: Set<string | null>; ended: Promise<void> } {
  const of = new Set<string | null>();
  let revoked = 0;
  const ended = new Promise<void>((resolve) => {
    bus.subscribe({
      onHint(hint) {
        if ('conversationId' in hint) of.add(hint.conversationId);
        if (hint.kind === 'revoked' && (revoked += 1) === SERVERS) resolve();
      },
      onReconnect: () => undefined,
    });
  });
  return { of, ended };
}
