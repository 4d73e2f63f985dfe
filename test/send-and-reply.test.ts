import { describe, expect, test } from 'vitest';
import { ask } from './harness/client.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { conversationEvents } from './harness/events.ts';
import { record } from './harness/recording.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
const fast = { wordsPerSecond: 0 };

const knowledgeReply = {
  role: 'AGENT',
  status: 'DONE',
  errorDetail: null,
  completedAt: expect.any(String),
  text: expect.stringContaining('stopReply'),
  fragments: [
    { __typename: 'FunctionCallFragment', index: 0, status: 'DONE', name: 'queryKnowledgeBase' },
    { __typename: 'FunctionResponseFragment', index: 1, status: 'DONE', name: 'queryKnowledgeBase', failed: false },
    { __typename: 'TextFragment', index: 2, status: 'DONE', text: expect.stringContaining('stopReply') },
  ],
};

describe('createConversation', () => {
  test('returns at once, with the reply in progress, and the reply goes on by itself', async () => {
    const agentId = await createAgent(server.services, 'scripted');
    const { conversation, cursor, message, reply } = await createConversation(server, {
      agentId,
      message: { content: { text: 'Begin at once.' } },
    });
    expect(message).toMatchObject({ role: 'USER', status: 'DONE', text: 'Begin at once.', inReplyTo: null });
    expect(reply).toMatchObject({ role: 'AGENT', status: 'IN_PROGRESS', text: '', fragments: [], completedAt: null });
    expect(reply?.inReplyTo).toEqual({ id: message?.id });
    expect(conversation.runningReply).toEqual({ id: reply?.id });

    const script = await runtime.replyTo('Begin at once.');
    const events = record(conversationEvents(server, { conversationId: conversation.id, after: cursor }));
    await script.begin('Done.');
    await script.end();
    await events.until((seen) => seen.some(({ __typename }) => __typename === 'MessageCompleted'));
    expect(await readMessage(server, reply?.id ?? '')).toMatchObject({ status: 'DONE', text: 'Done.' });
    await events.leave();
  });

  test('with awaitReply returns the whole answer: the call, what it gave, and the text', async () => {
    const { reply, conversation } = await createConversation(server, {
      message: { content: { text: 'How do I stop a reply?' } },
      runtimeParameters: fast,
      awaitReply: true,
    });
    expect(reply).toMatchObject(knowledgeReply);
    const [call, response, text] = reply?.fragments ?? [];
    expect(call?.args).toEqual({ query: 'How do I stop a reply?' });
    expect(response?.callId).toBe(call?.id);
    expect(response?.response).toHaveProperty('passages.0.title');
    expect(text?.metadata).toHaveProperty('citations.0.title');
    expect(reply?.text).toBe(text?.text);
    expect(conversation.runningReply).toBeNull();
  });

  test('with nothing at all has the default agent greet', async () => {
    const { conversation, message } = await createConversation(server, {});
    const { reply } = await createConversation(server, { runtimeParameters: fast, awaitReply: true });
    expect(message).toBeNull();
    expect(conversation.runningReply).not.toBeNull();
    expect(reply).toMatchObject({ status: 'DONE', inReplyTo: null, text: expect.stringMatching(/^Hello! I am \S/) });
    expect(reply?.fragments.map(({ __typename }) => __typename)).toEqual(['TextFragment']);
  });

  test('with action NONE begins empty, or with a message that nobody answers', async () => {
    const empty = await createConversation(server, { action: 'NONE' });
    expect(empty).toMatchObject({ conversation: { version: 1, runningReply: null }, message: null, reply: null });
    const begun = await createConversation(server, { action: 'NONE', message: { content: { text: 'Hi.' } } });
    expect(begun).toMatchObject({
      conversation: { version: 2, runningReply: null },
      message: { text: 'Hi.' },
      reply: null,
    });
  });

  test('takes over what was said elsewhere, fragment by fragment', async () => {
    const fragments = [
      { text: { text: 'Looking it up. ', metadata: { by: 'phone' } } },
      { functionCall: { name: 'lookUp', args: { order: 7 } } },
      { functionResponse: { name: 'lookUp', callIndex: 1, response: { state: 'sent' } } },
      { text: { text: 'It is on its way 🚚.' } },
    ];
    const { message } = await createConversation(server, { action: 'NONE', message: { content: { fragments } } });
    expect(message?.text).toBe('Looking it up. It is on its way 🚚.');
    expect(message?.fragments).toMatchObject([
      { __typename: 'TextFragment', index: 0, text: 'Looking it up. ', metadata: { by: 'phone' } },
      { __typename: 'FunctionCallFragment', index: 1, name: 'lookUp', args: { order: 7 } },
      { index: 2, name: 'lookUp', callId: message?.fragments[1]?.id, response: { state: 'sent' }, failed: false },
      { __typename: 'TextFragment', index: 3, text: 'It is on its way 🚚.' },
    ]);
  });
});

describe('sendMessage', () => {
  test('adds the message and begins its reply, each raising the version by one', async () => {
    const agentId = await createAgent(server.services, 'scripted');
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const sent = await send(server, { conversationId: conversation.id, content: { text: 'One and two.' } });
    expect(sent.conversation).toMatchObject({ version: 3, runningReply: { id: sent.reply?.id } });
    expect(sent.message).toMatchObject({ role: 'USER', status: 'DONE', position: 0, text: 'One and two.' });
    expect(sent.reply).toMatchObject({ status: 'IN_PROGRESS', position: 1, inReplyTo: { id: sent.message.id } });
    const script = await runtime.replyTo('One and two.');
    expect(script.turn.history.map(({ role, text }) => [role, text])).toEqual([['USER', 'One and two.']]);
    await script.begin();
    await script.end();
  });

  test('with awaitReply returns when the reply has ended, with its text', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE', runtimeParameters: fast });
    const { reply } = await send(server, {
      conversationId: conversation.id,
      content: { text: 'How do I stop a reply?' },
      awaitReply: true,
    });
    expect(reply).toMatchObject(knowledgeReply);
  });

  test('with action NONE leaves the message unanswered', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const conversationId = conversation.id;
    const sent = await send(server, { conversationId, content: { text: 'For the record.' }, action: 'NONE' });
    expect(sent).toMatchObject({ reply: null, conversation: { version: 2, runningReply: null } });
  });

  test('answers with what was said before in mind', async () => {
    const agentId = await createAgent(server.services, 'scripted');
    const input = { agentId, action: 'NONE', message: { content: { text: 'My name is Ada.' } } };
    const { conversation } = await createConversation(server, input);
    await send(server, { conversationId: conversation.id, content: { text: 'What is my name?' } });
    const script = await runtime.replyTo('What is my name?');
    expect(script.turn.history.map(({ text }) => text)).toEqual(['My name is Ada.', 'What is my name?']);
    await script.begin('Ada.');
    await script.end();
  });

  test('ends the reply in an error that says nothing of its cause, and keeps the text, when the agent fails', async () => {
    const agentId = await createAgent(server.services, 'scripted');
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const sending = send(server, {
      conversationId: conversation.id,
      content: { text: 'Please fail.' },
      awaitReply: true,
    });
    const script = await runtime.replyTo('Please fail.');
    await script.begin('So far, ', 'so good');
    script.fail(new Error('password=hunter2'));
    const { reply } = await sending;
    expect(reply).toMatchObject({ status: 'ERROR', text: 'So far, so good', fragments: [{ status: 'IN_PROGRESS' }] });
    expect(reply?.errorDetail).toMatch(/failed/);
    expect(reply?.errorDetail).not.toMatch(/hunter2/);
  });
});

describe('reading', () => {
  test('a conversation, its messages and any node gives the same objects', async () => {
    const { conversation, message } = await createConversation(server, {
      title: 'Read me',
      metadata: { ticket: 7 },
      action: 'NONE',
      message: { content: { text: 'Read me.' }, metadata: { page: '/start' } },
    });
    const data = await ask(
      server,
      /* GraphQL */ `
        query ($conversation: ID!, $message: ID!) {
          conversation(id: $conversation) {
            ...C
          }
          message(id: $message) {
            ...M
          }
          asNode: node(id: $conversation) {
            ...C
          }
          messageAsNode: node(id: $message) {
            ...M
          }
          nodes(ids: [$message, "msg_nonsense", $conversation]) {
            id
          }
        }
        fragment C on Conversation {
          id
          title
          version
          status
          metadata
          messageCount
          agent {
            name
          }
          lastMessage {
            id
          }
          messages {
            nodes {
              id
            }
          }
        }
        fragment M on Message {
          id
          text
          metadata
          author {
            kind
          }
          conversation {
            id
          }
        }
      `,
      { conversation: conversation.id, message: message?.id },
    );
    const expectedConversation = {
      id: conversation.id,
      title: 'Read me',
      version: 2,
      status: 'ACTIVE',
      metadata: { ticket: 7 },
      messageCount: 1,
      agent: { name: expect.any(String) },
      lastMessage: { id: message?.id },
      messages: { nodes: [{ id: message?.id }] },
    };
    const expectedMessage = {
      id: message?.id,
      text: 'Read me.',
      metadata: { page: '/start' },
      author: { kind: 'END_USER' },
      conversation: { id: conversation.id },
    };
    expect(data).toEqual({
      conversation: expectedConversation,
      message: expectedMessage,
      asNode: expectedConversation,
      messageAsNode: expectedMessage,
      nodes: [{ id: message?.id }, null, { id: conversation.id }],
    });
  });

  test('what does not exist is null, however its id is wrong', async () => {
    const ids = ['conv_00000000000000000000000000', 'msg_00000000000000000000000000', 'conv_', '', '🤷', "' OR 1=1"];
    for (const id of ids) {
      const query = 'query ($id: ID!) { conversation(id: $id) { id } message(id: $id) { id } node(id: $id) { id } }';
      expect(await ask(server, query, { id })).toEqual({ conversation: null, message: null, node: null });
    }
  });

  test('the cursor of a payload and of a page is where a stream goes on', async () => {
    const created = await createConversation(server, { action: 'NONE' });
    const conversationId = created.conversation.id;
    const query = 'query ($id: ID!) { conversation(id: $id) { messages(last: 1) { eventCursor } } }';
    const read = await ask<{ conversation: { messages: { eventCursor: string } } }>(server, query, {
      id: conversationId,
    });
    const sent = await send(server, { conversationId, content: { text: 'Follow.' }, action: 'NONE' });
    await send(server, { conversationId, content: { text: 'And again.' }, action: 'NONE' });
    const versionsAfter = async (after: string, count: number) => {
      const recording = record(conversationEvents(server, { conversationId, after }));
      await recording.until((events) => events.length >= count);
      await recording.leave();
      return recording.events.map((event) => ('version' in event ? event.version : null));
    };
    expect(await versionsAfter(created.cursor, 2)).toEqual([2, 3]);
    expect(await versionsAfter(read.conversation.messages.eventCursor, 2)).toEqual([2, 3]);
    expect(await versionsAfter(sent.cursor, 1)).toEqual([3]);
  });
});
