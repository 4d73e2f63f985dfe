import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { ask } from './harness/client.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { conversationEvents, replyEvents } from './harness/events.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { tcpProxy, type TcpProxy } from './harness/tcp-proxy.ts';

const runtime = new ScriptedRuntime();
const database = useBootstrappedDatabase();
let server: Awaited<ReturnType<typeof startServer>>;
/** It hears nothing of the other one but through the rows, and the other nothing of it. */
let deaf: Awaited<ReturnType<typeof startServer>>;
let proxy: TcpProxy;
let agentId: string;

beforeAll(async () => {
  proxy = await tcpProxy(database.url);
  server = await startServer(proxy.url, {
    runtimes: [runtime],
    config: { runtimeSilenceSeconds: 3, eventsUrl: 'memory:' },
  });
  deaf = await startServer(database.url, { config: { eventsUrl: 'memory:' } });
  agentId = await createAgent(server.services, 'scripted');
  await server.services.prisma.agent.update({
    where: { id: decodeId('Agent', agentId) ?? '' },
    data: {
      playbooks: [
        {
          name: 'returns',
          instructions: 'Be kind.',
          phases: [
            { name: 'ask', instructions: 'Ask for the order.', next: ['solve'] },
            { name: 'solve', instructions: 'Solve it.', next: [] },
          ],
        },
      ],
    },
  });
});
afterAll(async () => {
  await Promise.all([server.close(), deaf.close()]);
  await proxy.close();
});

/** A reply in a conversation that is in the first phase of the playbook. */
async function begin(text: string) {
  const state = { playbook: 'returns', phase: 'ask' };
  const { conversation, cursor } = await createConversation(server, { agentId, action: 'NONE', state });
  const { reply } = await send(server, { conversationId: conversation.id, content: { text } });
  return { conversationId: conversation.id, cursor, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

function read(conversationId: string) {
  return ask<{ conversation: { status: string; state: unknown; handoff: unknown; events: unknown } }>(
    server,
    `query ($id: ID!) { conversation(id: $id) { status state { playbook phase } handoff { reason status }
      events(last: 10) { nodes { __typename actor { __typename } } } } }`,
    { id: conversationId },
  ).then(({ conversation }) => conversation);
}

describe('an agent', () => {
  test('is told its playbook, and goes to a phase that its present one leads to in the middle of its reply', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('Where is my parcel?');
    expect(script.turn).toMatchObject({ playbook: { name: 'returns' }, state: { phase: 'ask' } });
    const follower = record(conversationEvents(server, { conversationId, after }));
    await script.say({ type: 'tool-call', callId: '1', name: 'changePhase', args: { phase: 'solve' } });
    await script.say({ type: 'state-change', phase: 'solve' });
    await script.say({ type: 'tool-result', callId: '1', response: null, failed: false });
    await script.begin('Solved.');
    await script.end();
    const events = await follower.until((seen) => seen.some(({ __typename }) => __typename === 'MessageCompleted'));
    expect(events.map(({ __typename }) => __typename)).toContain('StateChanged');
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'Solved.' });
    expect(await read(conversationId)).toMatchObject({
      state: { playbook: 'returns', phase: 'solve' },
      events: {
        nodes: [
          { __typename: 'ConversationCreated' },
          { __typename: 'MessageCreated' },
          { __typename: 'MessageCreated' },
          { __typename: 'StateChanged', actor: { __typename: 'AgentActor' } },
          { __typename: 'MessageCompleted', actor: { __typename: 'AgentActor' } },
        ],
      },
    });
    await follower.leave();
  });

  test.each(['nowhere', 'ask'])('cannot go to the phase %j, which does not follow', async (phase) => {
    const { conversationId, replyId, script } = await begin(`To ${phase}!`);
    await script.begin('Going.');
    await script.say({ type: 'text-end' }, { type: 'state-change', phase });
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({
      status: 'ERROR',
      text: 'Going.',
      errorDetail: expect.stringContaining('phase'),
    });
    expect(await read(conversationId)).toMatchObject({ state: { phase: 'ask' } });
  });

  test.each([
    ['here', () => server],
    ['elsewhere', () => deaf],
  ])('changes nothing any more once its reply was stopped %s', async (where, target) => {
    const reply = vi.spyOn(runtime, 'reply');
    const { conversationId, replyId, script } = await begin(`Stop at once, ${where}.`);
    const signal = reply.mock.lastCall?.[1];
    reply.mockRestore();
    await ask(target(), 'mutation ($id: ID!) { stopReply(input: { replyId: $id }) { __typename } }', { id: replyId });
    await script.say({ type: 'state-change', phase: 'solve' });
    expect(signal).toMatchObject({ aborted: true });
    await script.say({ type: 'handoff-request', reason: null });
    await script.end();
    expect(await read(conversationId)).toMatchObject({ status: 'ACTIVE', state: { phase: 'ask' } });
  });

  test('hands over to a human when its reply has ended, not before', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('A human, please.');
    const follower = record(conversationEvents(server, { conversationId, after }));
    await script.say({ type: 'handoff-request', reason: 'Asked for by name' });
    await script.begin('One moment.');
    await follower.until((seen) => seen.some(({ __typename }) => __typename === 'FragmentDelta'));
    expect(await read(conversationId)).toMatchObject({ status: 'ACTIVE', handoff: null });
    await script.end();
    const isHandoff = ({ __typename }: { __typename: string }) => __typename === 'HandoffStarted';
    const events = await follower.until((seen) => seen.some(isHandoff));
    expect(events.slice(-2).map(({ __typename }) => __typename)).toEqual(['MessageCompleted', 'HandoffStarted']);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'One moment.' });
    expect(await read(conversationId)).toMatchObject({
      status: 'HANDED_OFF',
      handoff: { reason: 'Asked for by name', status: 'WAITING' },
    });
    await follower.leave();
  });

  test('hands over also when it fails after it has asked for a human', async () => {
    const { conversationId, replyId, script } = await begin('A human, quickly.');
    await script.say({ type: 'handoff-request', reason: null });
    script.fail(new Error('secret'));
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'ERROR' });
    expect(await read(conversationId)).toMatchObject({ status: 'HANDED_OFF' });
  });

  test('has what it used added up, also when it fails', async () => {
    const { replyId, script } = await begin('Count.');
    await script.say({ type: 'usage', inputTokens: 10, outputTokens: 1 });
    await script.say({ type: 'usage', inputTokens: 20, outputTokens: Number.NaN });
    script.fail(new Error('secret'));
    await record(replyEvents(server, { replyId })).ended();
    const { message } = await ask<{ message: unknown }>(
      server,
      'query ($id: ID!) { message: node(id: $id) { ... on Message { usage { inputTokens outputTokens } } } }',
      { id: replyId },
    );
    expect(message).toEqual({ usage: { inputTokens: 30, outputTokens: 1 } });
  });

  test('that falls silent ends in an error with what it has said, and is aborted', async () => {
    const { replyId, script } = await begin('Well?');
    await script.begin('Hm');
    await script.aborted;
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({
      status: 'ERROR',
      text: 'Hm',
      errorDetail: expect.stringContaining('too long'),
    });
  });
});

test('a reply that begins or changes its phase while the database is away is only late', async () => {
  const { replyId, script } = await begin('Take your time.');
  proxy.cut();
  const asked = script.say({ type: 'state-change', phase: 'solve' });
  await expect.poll(() => server.services.pool.query('SELECT 1').catch(() => 'away')).toBe('away');
  proxy.heal();
  await asked;
  await script.begin('Here.');
  await script.end();
  await record(replyEvents(server, { replyId })).ended();
  expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'Here.' });
});
