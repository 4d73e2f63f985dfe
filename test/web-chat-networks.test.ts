import { type Client, createClient } from 'graphql-ws';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { VISITORS_OF_NETWORK } from '../src/access/rate-limits.ts';
import { graphql, type Target } from './harness/client.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';
import { addWebChat, sign, visit, type WebChat } from './harness/visits.ts';

const runtime = new ScriptedRuntime();
const server = useServer({
  runtimes: [runtime],
  config: {
    visitLimitPerAddress: 0,
    visitLimitPerInbox: 0,
    trustedProxies: 1,
    rateLimitPerContact: 5,
    replyLimitPerContact: 2,
    modelTokenLimitPerContact: 1000,
    maxConnectionsPerViewer: 1,
  },
});
let chat: WebChat;
let agentId: string;
beforeAll(async () => {
  agentId = await createAgent(server.services, 'scripted');
  chat = await addWebChat(server, { agentId });
});

/** As from a network that no other test uses. */
let networks = 0;
const newNetwork = () => ({ 'X-Forwarded-For': `10.1.0.${++networks}` });

/** What one visitor may do with a limit, times so many. */
const visitors = VISITORS_OF_NETWORK + 2;

async function newVisitor(from: Record<string, string>, identity?: string): Promise<Target> {
  const { token } = await visit(server, { inboxKey: chat.publicKey, ...(identity && { identity }) }, from);
  return { url: server.url, key: token };
}

function newVisitors(from: Record<string, string>): Promise<Target[]> {
  return Promise.all(Array.from({ length: visitors }, () => newVisitor(from)));
}

const codeOf = ({ errors }: Awaited<ReturnType<typeof graphql>>) => errors?.[0]?.extensions?.code;

describe('the anonymous visitors of one network together', () => {
  const look = async (visitor: Target) => codeOf(await graphql(visitor, '{ viewer { kind } }'));

  test('send as many operations as ten of them may, however many they are; others are not held up', async () => {
    const network = newNetwork();
    const outcomes = [];
    for (const visitor of await newVisitors(network)) {
      for (let index = 0; index < 5; index += 1) outcomes.push(await look(visitor));
    }
    expect(outcomes.filter((code) => code === undefined)).toHaveLength(5 * VISITORS_OF_NETWORK);
    expect(outcomes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(5 * 2);
    expect(await look(await newVisitor(newNetwork()))).toBeUndefined();
    // Whom the page's server names is not one of them.
    expect(await look(await newVisitor(network, await sign(chat, { sub: 'known' })))).toBeUndefined();
  });

  const begin = async (visitor: Target, text: string) =>
    codeOf(
      await graphql(
        visitor,
        `mutation { createConversation(input: { message: { content: { text: "${text}" } } }) { ... on UserError { detail } } }`,
      ),
    );

  test('start as many replies as ten of them may', async () => {
    const network = newNetwork();
    const outcomes = [];
    for (const visitor of await newVisitors(network)) {
      for (let index = 0; index < 2; index += 1) outcomes.push(await begin(visitor, 'Hello.'));
    }
    expect(outcomes.filter((code) => code === undefined)).toHaveLength(2 * VISITORS_OF_NETWORK);
    expect(outcomes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(2 * 2);
    expect(await begin(await newVisitor(newNetwork()), 'Hello.')).toBeUndefined();
  });

  test('have as many replies running as ten of them may, on all servers together', async () => {
    const config = {
      trustedProxies: 1,
      rateLimitPerContact: 0,
      replyLimitPerContact: 0,
      maxRunningRepliesPerContact: 1,
    };
    const strict = await startServer(server.databaseUrl, { runtimes: [runtime], config });
    const there = async (visitor: Promise<Target>) => ({ url: strict.url, key: (await visitor).key });
    try {
      const network = newNetwork();
      const all = await newVisitors(network);
      const begun = all.slice(0, VISITORS_OF_NETWORK).map((visitor, index) => begin(visitor, `Question ${index}?`));
      expect(new Set(await Promise.all(begun))).toEqual(new Set([undefined]));
      const late = await there(newVisitor(network));
      expect(await begin(late, 'Hello.')).toBe('RATE_LIMITED');
      expect(await begin(await there(newVisitor(newNetwork())), 'Hello.')).toBeUndefined();
      const named = newVisitor(network, await sign(chat, { sub: 'named' }));
      expect(await begin(await there(named), 'Hello.')).toBeUndefined();
      const script = await runtime.replyTo('Question 0?');
      await script.begin('An answer.');
      await script.end();
      await expect.poll(() => begin(late, 'Now?'), { timeout: 10_000 }).toBeUndefined();
    } finally {
      await strict.close();
    }
  });

  test('use as many tokens of models as ten of them may', async () => {
    const network = newNetwork();
    const first = await newVisitor(network);
    expect(await begin(first, 'How much?')).toBeUndefined();
    const script = await runtime.replyTo('How much?');
    await script.begin('So much.');
    await script.say({ type: 'usage', inputTokens: 1000 * VISITORS_OF_NETWORK, outputTokens: 1 });
    await script.end();
    await expect.poll(async () => begin(await newVisitor(network), 'And now?')).toBe('RATE_LIMITED');
    expect(await begin(await newVisitor(newNetwork()), 'And now?')).toBeUndefined();
  });

  test('keep as many connections open as ten of them may', async () => {
    const network = newNetwork();
    const sockets: Client[] = [];
    const open = ({ url, key }: Target) =>
      new Promise<string>((resolve) => {
        const socket = createClient({
          url: `${url.replace(/^http/, 'ws')}/graphql`,
          webSocketImpl: WebSocket,
          connectionParams: { authorization: `Bearer ${key}` },
          retryAttempts: 0,
          lazy: false,
          onNonLazyError: () => undefined,
        });
        sockets.push(socket);
        socket.on('connected', () => resolve('OPEN'));
        socket.on('closed', (event) => resolve(String(event instanceof Object && 'reason' in event && event.reason)));
      });
    try {
      const outcomes = [];
      for (const visitor of await newVisitors(network)) outcomes.push(await open(visitor));
      expect(outcomes.filter((outcome) => outcome === 'OPEN')).toHaveLength(VISITORS_OF_NETWORK);
      expect(outcomes.slice(VISITORS_OF_NETWORK)).toEqual(['TOO_MANY_CONNECTIONS', 'TOO_MANY_CONNECTIONS']);
      expect(await open(await newVisitor(newNetwork()))).toBe('OPEN');
      await sockets[0]?.dispose();
      await expect.poll(async () => open(await newVisitor(network))).toBe('OPEN');
    } finally {
      for (const socket of sockets) await socket.dispose();
    }
  });
});
