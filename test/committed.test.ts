import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { findViewerByKey } from '../src/access/api-keys.ts';
import type { Viewer } from '../src/access/viewer.ts';
import { createConversation as create } from '../src/conversations/commands/create.ts';
import { sendMessage } from '../src/conversations/commands/send.ts';
import { encodeId } from '../src/ids.ts';
import { ask, graphql, openSocket, subscribeWs } from './harness/client.ts';
import { addAgent } from './harness/products.ts';
import { ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let caller: Viewer;
let agentId: string;

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'scripted' });
  const viewer = await findViewerByKey(server.services.pool, server.key);
  if (!viewer) throw new Error('The server has no first key.');
  caller = viewer;
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** The database refuses these statements until the test is over, or as often as said. Returns how many it has refused. */
function refuse(refused: (statement: { name?: string; text: string }) => boolean, times = Infinity): () => number {
  const { pool } = server.services;
  const original = pool.query.bind(pool);
  let count = 0;
  vi.spyOn(pool, 'query').mockImplementation((query, values) => {
    if (count >= times || !refused(typeof query === 'string' ? { text: query } : query)) return original(query, values);
    count += 1;
    return Promise.reject(new Error('The database does not answer.'));
  });
  return () => count;
}

/** All that is read for an answer: by Prisma, and the rows of a change. */
const reads = ({ name = '', text }: { name?: string; text: string }) =>
  text.includes('"public".') ||
  ['read-rows', 'read-fragments', 'list-messages', 'find-conversation'].some((read) => name.startsWith(read));

const whole = 'conversation { id version status title } cursor';
const message = 'id role status position text metadata fragments { id index ... on TextFragment { text } }';
const failure = '... on UserError { detail }';

async function openConversation(): Promise<{ id: string; uuid: string }> {
  const input = { agentId, action: 'NONE', awaitReply: false } as const;
  const { conversationId: uuid } = await create(server.services, caller, input);
  return { uuid, id: encodeId('Conversation', uuid) };
}

describe('a change that was committed, while nothing can be read', () => {
  test('is answered with what it wrote, each of a hundred sends', async () => {
    const conversations: Awaited<ReturnType<typeof openConversation>>[] = [];
    while (conversations.length < 100) conversations.push(await openConversation());
    refuse(reads);
    const send = ({ id }: { id: string }, index: number) =>
      graphql<{ sendMessage: { message: object; reply: object; conversation: object } }>(
        server,
        `mutation ($input: SendMessageInput!) {
          sendMessage(input: $input) {
            ... on SendMessagePayload { conversation { id version } cursor message { ${message} } reply { ${message} } } ${failure}
          }
        }`,
        { input: { conversationId: id, content: { text: `No. ${index}` }, metadata: { b: 1, a: [index] } } },
      );
    // A busy machine would refuse some of a hundred at once.
    for (let first = 0; first < conversations.length; first += 10) {
      const some = conversations.slice(first, first + 10);
      const answers = await Promise.all(some.map((conversation, place) => send(conversation, first + place)));
      for (const [place, { status, data, errors }] of answers.entries()) {
        const index = first + place;
        expect(errors).toBeUndefined();
        expect(status).toBe(200);
        expect(data?.sendMessage).toMatchObject({
          conversation: { id: conversations[index]?.id, version: 3 },
          message: { role: 'USER', status: 'DONE', position: 0, text: `No. ${index}`, metadata: { a: [index], b: 1 } },
          reply: { role: 'AGENT', status: 'IN_PROGRESS', position: 1, text: '', fragments: [] },
        });
      }
    }
  });

  const content = { text: 'Good morning.' };
  const commands: [name: string, input: Record<string, unknown>, selection: string][] = [
    ['addAgentMessage', { content }, `message { ${message} }`],
    ['sendControl', { content, action: 'GENERATE_REPLY' }, `message { ${message} } reply { ${message} }`],
    ['changeState', { stateAfter: { context: { mood: 'good' } } }, 'state: conversation { state { context } }'],
    ['updateConversation', { title: 'Morning' }, 'title: conversation { title }'],
    ['startHandoff', { reason: 'Because' }, 'handoff { id status reason startedAt }'],
    ['endConversation', {}, 'ended: conversation { endedAt }'],
  ];

  test.each(commands)('is answered with what it wrote: %s', async (name, input, selection) => {
    const { id } = await openConversation();
    refuse(reads);
    const type = name.charAt(0).toUpperCase() + name.slice(1);
    const { data, errors } = await graphql<Record<string, object>>(
      server,
      `mutation ($input: ${type}Input!) { ${name}(input: $input) { ... on ${type}Payload { ${whole} ${selection} } ${failure} } }`,
      { input: { conversationId: id, ...input } },
    );
    expect(errors).toBeUndefined();
    expect(data?.[name]).toMatchObject({ conversation: { id } });
  });

  test('is told of in the error of what else was asked for, by HTTP and by WebSocket', async () => {
    const query = `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) {
        ... on SendMessagePayload { conversation { agent { name } } message { id } reply { id } } ${failure}
      }
    }`;
    const [first, second] = [await openConversation(), await openConversation()];
    const inputOf = ({ id }: { id: string }) => ({ input: { conversationId: id, content } });
    refuse(reads);
    const answer = await graphql(server, query, inputOf(first));
    const socket = openSocket(server);
    const frames = [];
    for await (const frame of socket.iterate({ query, variables: inputOf(second) })) frames.push(frame);
    await socket.dispose();
    vi.restoreAllMocks();

    expect(answer.status).toBe(200);
    for (const [{ uuid }, errors] of [
      [first, answer.errors],
      [second, frames[0]?.errors],
    ] as const) {
      const { rows } = await server.services.pool.query<{ id: string }>(
        'SELECT id FROM message WHERE conversation_id = $1 ORDER BY position',
        [uuid],
      );
      const [messageId, replyId] = rows.map((row) => encodeId('Message', row.id));
      expect(errors).toMatchObject([
        {
          path: ['sendMessage', 'conversation', 'agent'],
          extensions: { code: 'INTERNAL_SERVER_ERROR', committed: { version: 3, messageId, replyId } },
        },
      ]);
    }
  });

  test('is answered as it was left when waiting for its reply fails', async () => {
    const { id } = await openConversation();
    refuse(reads);
    const data = await ask<{ sendMessage: { reply: object } }>(
      server,
      `mutation ($input: SendMessageInput!) {
        sendMessage(input: $input) { ... on SendMessagePayload { reply { status text } } ${failure} }
      }`,
      { input: { conversationId: id, content, awaitReply: true } },
    );
    expect(data.sendMessage.reply).toEqual({ status: 'IN_PROGRESS', text: '' });
  });
});

test('a query that fails is an error of the request, and speaks of no commit', async () => {
  const { id } = await openConversation();
  refuse(reads);
  const { status, errors } = await graphql(server, 'query ($id: ID!) { conversation(id: $id) { id } }', { id });
  expect(status).toBe(500);
  expect(errors?.[0]?.extensions).not.toHaveProperty('committed');
});

test('what went wrong first is told, not that the idempotency key could not be looked up after it', async () => {
  const { id: conversationId } = await openConversation();
  refuse(({ name, text }) => name === 'append' || text.includes('FROM idempotency'));
  const attempt = sendMessage(server.services, caller, {
    conversationId,
    content: { text: 'Hello?' },
    action: 'NONE',
    awaitReply: false,
    onBusy: 'REJECT',
    idempotencyKey: 'first fault',
  });
  await expect(attempt).rejects.toThrow('The database does not answer.');
});

test('a stream goes on after a read of its rows has failed', async () => {
  const { id } = await openConversation();
  const update = async (title: string) => {
    const { updateConversation } = await ask<{ updateConversation: { cursor: string } }>(
      server,
      `mutation ($input: UpdateConversationInput!) {
        updateConversation(input: $input) { ... on UpdateConversationPayload { cursor } ${failure} }
      }`,
      { input: { conversationId: id, title } },
    );
    return updateConversation.cursor;
  };
  const after = await update('Sooner');
  await update('Later');
  const count = refuse(({ name }) => name === 'read-rows', 2);
  const stream = subscribeWs<{ conversationEvents: object }>(
    server,
    `subscription ($id: ID!, $after: EventCursor) {
      conversationEvents(conversationId: $id, after: $after) { __typename ... on VersionedEvent { conversation { title } } }
    }`,
    { id, after },
  );
  for await (const event of stream) {
    expect(event).toEqual({
      conversationEvents: { __typename: 'ConversationUpdated', conversation: { title: 'Later' } },
    });
    break;
  }
  expect(count()).toBe(2);
});
