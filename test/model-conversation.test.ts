import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { mintToken } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { conversationEvents } from './harness/events.ts';
import {
  callChunks,
  calls,
  finishChunk,
  ModelServer,
  refuses,
  says,
  streams,
  textChunks,
  usageChunk,
} from './harness/model-server.ts';
import { record } from './harness/recording.ts';
import { createAgent } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';
import { useBootstrappedDatabase } from './harness/database.ts';

const database = useBootstrappedDatabase();
const model = new ModelServer();
const shop = new ModelServer();
let server: Awaited<ReturnType<typeof startServer>>;
let agentId: string;

beforeAll(async () => {
  await Promise.all([model.start(), shop.start()]);
  server = await startServer(database.url, {
    config: { modelUrl: `${model.url}/v1`, modelApiKey: 'sk-secret', model: 'fake', allowPrivateAddresses: true },
  });
  const { prisma } = server.services;
  agentId = await createAgent(server.services, 'model');
  await prisma.agent.update({
    where: { id: decodeId('Agent', agentId) ?? '' },
    data: {
      systemPrompt: 'You sell hats.',
      greeting: 'Welcome to the hat shop.',
      playbooks: [
        {
          name: 'returns',
          instructions: 'Be kind.',
          phases: [
            { name: 'ask', instructions: 'Find the order.', next: ['solve'] },
            { name: 'solve', instructions: 'Offer a refund, by a human.', next: [] },
          ],
        },
      ],
      tools: [
        {
          name: 'findOrder',
          description: 'Finds an order.',
          url: `${shop.url}/orders`,
          headers: { Authorization: 'Bearer hunter2' },
          parametersSchema: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
          timeoutSeconds: 10,
        },
      ],
    },
  });
});
afterAll(async () => {
  await server.close();
  await Promise.all([model.close(), shop.close()]);
});

interface Seen {
  conversation: {
    status: string;
    state: unknown;
    handoff: unknown;
    events: { nodes: { __typename: string; actor: { __typename: string } | null }[] };
  };
  message: { usage: unknown };
}

function read(conversationId: string, replyId: string): Promise<Seen> {
  return ask(
    server,
    `query ($id: ID!, $reply: ID!) {
      conversation(id: $id) {
        status
        state { playbook phase }
        handoff { reason status }
        events(last: 20) { nodes { __typename actor { __typename } } }
      }
      message(id: $reply) { usage { inputTokens outputTokens } }
    }`,
    { id: conversationId, reply: replyId },
  );
}

/** Of any event there is, also of those that a test of streams does not look at. */
function typeOf({ __typename }: { __typename: string }): string {
  return __typename;
}

/** What a message holds, without what is empty. */
function shown({ fragments }: Awaited<ReturnType<typeof readMessage>>): unknown[][] {
  return fragments.map(({ __typename, text, name, args, response, failed }) =>
    Object.values({ __typename, text, name, args, response, failed }).filter((value) => value != null),
  );
}

test('an agent goes through its playbook, calls a tool and hands over to a human, for all to see', async () => {
  const created = await createConversation(server, { agentId, state: { playbook: 'returns', phase: 'ask' } });
  const conversationId = created.conversation.id;
  const follower = record(conversationEvents(server, { conversationId, after: created.cursor }));
  await follower.until((seen) => seen.some(({ __typename }) => __typename === 'MessageCompleted'));
  // The greeting needs no model.
  expect(await readMessage(server, created.reply?.id ?? '')).toMatchObject({ text: 'Welcome to the hat shop.' });
  expect(model.requests).toEqual([]);

  shop.answer(refuses(200, { body: { state: 'lost' } }));
  model.answer(
    streams(
      ...textChunks('Let me ', 'look.'),
      ...callChunks('findOrder', { id: 'o1' }, { pieces: 4 }),
      finishChunk('tool_calls'),
      usageChunk(100, 10),
    ),
    calls('changePhase', { phase: 'solve' }),
    calls('requestHandoff', { reason: 'A refund for o1.' }),
    says('A colleague ', 'will refund you.'),
  );
  const { reply } = await send(server, { conversationId, content: { text: 'Order o1 never came.' } });
  const replyId = reply?.id ?? '';
  const events = await follower.until((seen) => seen.some((event) => typeOf(event) === 'HandoffStarted'));
  await follower.leave();

  const message = await readMessage(server, replyId);
  expect(message).toMatchObject({ status: 'DONE', errorDetail: null });
  expect(shown(message)).toEqual([
    ['TextFragment', 'Let me look.'],
    ['FunctionCallFragment', 'findOrder', { id: 'o1' }],
    ['FunctionResponseFragment', 'findOrder', { state: 'lost' }, false],
    ['FunctionCallFragment', 'changePhase', { phase: 'solve' }],
    ['FunctionResponseFragment', 'changePhase', { phase: 'solve' }, false],
    ['FunctionCallFragment', 'requestHandoff', { reason: 'A refund for o1.' }],
    ['FunctionResponseFragment', 'requestHandoff', { requested: true }, false],
    ['TextFragment', 'A colleague will refund you.'],
  ]);
  // Of a tool of the operator's, an end user sees the name; of those that every agent has, nothing.
  const guest = { url: server.url, key: await mintToken(server, { conversationId }) };
  expect(shown(await readMessage(guest, replyId))).toEqual([
    ['TextFragment', 'Let me look.'],
    ['FunctionCallFragment', 'findOrder'],
    ['FunctionResponseFragment', 'findOrder', false],
    ['TextFragment', 'A colleague will refund you.'],
  ]);
  // Each answer names its call.
  const [, call, answer] = message.fragments;
  expect(answer?.callId).toBe(call?.id);

  const after = await read(conversationId, replyId);
  expect(after.conversation).toMatchObject({
    status: 'HANDED_OFF',
    state: { playbook: 'returns', phase: 'solve' },
    handoff: { reason: 'A refund for o1.', status: 'WAITING' },
  });
  expect(after.message.usage).toEqual({ inputTokens: 150, outputTokens: 22 });
  const logged = after.conversation.events.nodes.map(({ __typename }) => __typename);
  expect(logged.slice(-5)).toEqual([
    'MessageCreated',
    'MessageCreated',
    'StateChanged',
    'MessageCompleted',
    'HandoffStarted',
  ]);
  expect(after.conversation.events.nodes.slice(-3).map(({ actor }) => actor?.__typename)).toEqual([
    'AgentActor',
    'AgentActor',
    'AgentActor',
  ]);
  // The stream has the same events in the same order, with the fragments between them.
  const streamed = events.map(typeOf);
  const versioned = streamed.filter((type) => !type.startsWith('Fragment'));
  expect(versioned.slice(-5)).toEqual(logged.slice(-5));
  expect(
    streamed.slice(streamed.indexOf('StateChanged')).filter((type) => type === 'FragmentStarted').length,
  ).toBeGreaterThan(2);

  // What it was told at each step.
  const told = model.requests.map(({ body }) => ({
    system: String(body.messages?.[0]?.content),
    tools: body.tools?.map((tool) => tool.function?.name),
  }));
  expect(told.map(({ tools }) => tools)).toEqual([
    ['changePhase', 'requestHandoff', 'findOrder'],
    ['changePhase', 'requestHandoff', 'findOrder'],
    ['requestHandoff', 'findOrder'],
    ['requestHandoff', 'findOrder'],
  ]);
  expect(told[1]?.system).toMatch(/^You sell hats\.\n\nBe kind\.\n\nFind the order\./);
  expect(told[2]?.system).toMatch(/^You sell hats\.\n\nBe kind\.\n\nOffer a refund, by a human\./);
  expect(model.requests[0]?.body.messages?.slice(1)).toMatchObject([
    { role: 'assistant', content: 'Welcome to the hat shop.' },
    { role: 'user', content: 'Order o1 never came.' },
  ]);
  expect(JSON.stringify([message, after, model.requests.map(({ body }) => body)])).not.toMatch(/hunter2|sk-secret/);

  // A human has the conversation: the agent is not asked any more.
  const { reply: none } = await send(server, { conversationId, content: { text: 'Thanks.' } });
  expect(none).toBeNull();
  expect(model.requests).toHaveLength(4);
});
