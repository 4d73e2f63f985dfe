import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConversation, readMessage, send, stop } from './harness/commands.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { conversationEvents, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { hasPgBouncer, type PgBouncer, startPgBouncer } from './harness/pgbouncer.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';

describe.skipIf(!hasPgBouncer)(
  `through a pooler in transaction mode${hasPgBouncer ? '' : ' (skipped: there is no pgbouncer here; apt-get install pgbouncer)'}`,
  () => {
    const database = useBootstrappedDatabase();
    const runtime = new ScriptedRuntime();
    let pooler: PgBouncer;
    let servers: Awaited<ReturnType<typeof startServer>>[];
    beforeAll(async () => {
      pooler = await startPgBouncer(database.url);
      const config = { databasePooler: 'transaction', databaseDirectUrl: database.url } as const;
      servers = await Promise.all([1, 2].map(() => startServer(pooler.url, { runtimes: [runtime], config })));
    });
    afterAll(async () => {
      await Promise.all(servers.map((server) => server.close()));
      await pooler.close();
    });

    test('everything works: many conversations at once, followed on another server, stopped and answered', async () => {
      const [server, other] = servers;
      if (!server || !other) throw new Error('There are two.');
      const agentId = await createAgent(server.services, 'scripted');
      const talk = async (n: number) => {
        const { conversation, cursor } = await createConversation(server, { agentId, action: 'NONE' });
        const follower = record(conversationEvents(other, { conversationId: conversation.id, after: cursor }));
        const text = `Question ${n}?`;
        const { reply } = await send(server, { conversationId: conversation.id, content: { text } });
        const replyId = reply?.id ?? '';
        const script = await runtime.replyTo(text);
        await script.begin('Answer ', String(n));
        if (n % 2) {
          await script.end();
          await record(replyEvents(other, { replyId })).ended();
        } else {
          await follower.until((events) => textOf(events, replyId) === `Answer ${n}`);
          expect((await stop(other, replyId)).reply.status).toBe('STOPPED');
        }
        await follower.until((events) => events.some(({ __typename }) => __typename === 'MessageCompleted'));
        expect(textOf(follower.events, replyId)).toBe(`Answer ${n}`);
        await follower.leave();
        return readMessage(other, replyId);
      };
      const messages = await Promise.all(Array.from({ length: 16 }, (_, n) => talk(n)));
      for (const [n, message] of messages.entries()) {
        expect(message).toMatchObject({ status: n % 2 ? 'DONE' : 'STOPPED', text: `Answer ${n}` });
      }
    });
  },
);
