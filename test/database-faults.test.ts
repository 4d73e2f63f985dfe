import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { graphql, RefusedError } from './harness/client.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';
import { tcpProxy, type TcpProxy } from './harness/tcp-proxy.ts';

/** Locks rows in a transaction of its own until it is told to let go. */
async function lockRow(url: string, table: string, where: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('BEGIN');
  const { rowCount } = await client.query(`SELECT FROM ${table} WHERE ${where} FOR UPDATE`);
  expect(rowCount).toBeGreaterThan(0);
  let ended: Promise<void> | undefined;
  return () => (ended ??= client.query('ROLLBACK').then(() => client.end()));
}

// Both suites at once, since most of them is waiting; their tests one by one.
describe.concurrent('one locked row', () => {
  const { server, runtime, idle } = useScriptedServer({ config: { databasePoolSize: 3 } });

  const lockConversation = (id: string) =>
    lockRow(server.databaseUrl, 'conversation', `id = '${decodeId('Conversation', id) ?? ''}'`);

  async function begin(text: string) {
    const { id: conversationId } = await idle();
    const { reply } = await send(server, { conversationId, content: { text } });
    const script = await runtime.replyTo(text);
    await script.begin('Well');
    const replyId = reply?.id ?? '';
    const follower = record(replyEvents(server, { replyId }));
    await follower.until((events) => textOf(events, replyId) === 'Well');
    return { conversationId, replyId, script, follower };
  }

  const storedOf = async (replyId: string) => (await readMessage(server, replyId)).text;

  test(
    'keeps no other reply from being stored, and its own from being told',
    { concurrent: false },
    async ({ onTestFinished }) => {
      const [locked, free] = await Promise.all(['Locked?', 'Free?'].map(begin));
      if (!locked || !free) throw new Error('There are two.');
      const unlock = await lockConversation(locked.conversationId);
      onTestFinished(unlock);
      for (const { script } of [locked, free]) await script.write(', this is so');
      await locked.follower.until((events) => textOf(events, locked.replyId) === 'Well, this is so');
      await expect.poll(() => storedOf(free.replyId)).toBe('Well, this is so');
      expect(await storedOf(locked.replyId)).toBe('Well');
      await free.script.end();
      await free.follower.ended();
      expect(await readMessage(server, free.replyId)).toMatchObject({ status: 'DONE', text: 'Well, this is so' });
      await locked.script.end();
      await unlock();
      await locked.follower.ended();
      expect(await readMessage(server, locked.replyId)).toMatchObject({ status: 'DONE', text: 'Well, this is so' });
    },
  );

  test(
    'takes no more than two connections from all other conversations, and is refused after a while',
    { concurrent: false },
    async ({ onTestFinished }) => {
      const [{ id: locked }, { id: free }] = [await idle(), await idle()];
      const unlock = await lockConversation(locked);
      onTestFinished(unlock);
      const mutation = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';
      const sendTo = (conversationId: string) =>
        graphql<{ sendMessage: object | null }>(server, mutation, {
          input: { conversationId, content: { text: 'Hello?' }, action: 'NONE' },
        });
      const refused = Promise.all(Array.from({ length: 4 }, () => sendTo(locked)));
      let settled = false;
      void refused.then(() => (settled = true));
      for (let n = 0; n < 10; n += 1) expect(await sendTo(free)).toMatchObject({ status: 200, data: {} });
      expect(settled).toBe(false);
      const results = await refused;
      await unlock();
      for (const { errors, data } of results) {
        expect(data?.sendMessage ?? null).toBeNull();
        expect(errors?.[0]?.extensions).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfter: expect.any(Number) });
      }
      expect(await sendTo(locked)).toMatchObject({ data: { sendMessage: { __typename: 'SendMessagePayload' } } });
    },
  );

  test('of an API key keeps nobody with that key from working', { concurrent: false }, async () => {
    const { pool } = server.services;
    await pool.query('UPDATE api_key SET last_used_at = NULL');
    const unlock = await lockRow(server.databaseUrl, 'api_key', 'true');
    const answer = await graphql(server, '{ viewer { __typename } }');
    await unlock();
    expect(answer).toMatchObject({ status: 200 });
  });
});

describe.concurrent('database connections that are open and silent', () => {
  const database = useBootstrappedDatabase();
  const runtime = new ScriptedRuntime();
  let proxy: TcpProxy;
  let server: Awaited<ReturnType<typeof startServer>>;
  let agentId: string;
  beforeAll(async () => {
    proxy = await tcpProxy(database.url);
    const config = { eventsUrl: 'memory:', leaseSeconds: 20 };
    server = await startServer(proxy.url, { runtimes: [runtime], config });
    agentId = await createAgent(server.services, 'scripted');
  });
  afterAll(async () => {
    // Else the server waits for the connections that are silent.
    proxy.cut();
    await server.close();
    await proxy.close();
  });

  test.each([
    ['some', 3],
    ['all', undefined],
  ])('(%s of them) cost a reply nothing, and the server answers again', { concurrent: false }, async (which, count) => {
    const text = `Are ${which} of them silent?`;
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const { reply } = await send(server, { conversationId: conversation.id, content: { text } });
    const script = await runtime.replyTo(text);
    await script.begin('So ');
    proxy.silence(count);
    const words = Array.from({ length: 20 }, (_, n) => `it ${n} goes `);
    for (const word of words) await script.write(word);
    await script.end();
    const replyId = reply?.id ?? '';
    const answer = async () => {
      const message = await readMessage(server, replyId).catch((error: unknown) => {
        // Nothing but a refusal to try again later.
        if (!(error instanceof RefusedError)) throw error;
        expect(error.errors.map(({ extensions }) => extensions?.code)).toEqual(['SERVICE_UNAVAILABLE']);
        return null;
      });
      return message && { status: message.status, text: message.text };
    };
    await expect.poll(answer, { timeout: 25_000 }).toEqual({ status: 'DONE', text: `So ${words.join('')}` });
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
  });
});
