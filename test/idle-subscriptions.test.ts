import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { encodeCursor } from '../src/conversations/stream/cursor.ts';
import { decodeId } from '../src/ids.ts';
import { conversationEventsQuery } from './harness/events.ts';
import { megabytes } from './harness/megabytes.ts';
import { useScriptedServer } from './harness/scripted-server.ts';

const { server, idle } = useScriptedServer();

const SUBSCRIPTIONS = 20;

/** What a message may be padded with, which is nothing that the server needs. */
const PADDING = 1024 * 1024;

test('a subscription by WebSocket does not keep the message that began it', async () => {
  const { id: conversationId } = await idle();
  const after = encodeCursor(decodeId('Conversation', conversationId) ?? '', { version: 0, running: null });
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const ask = async (message: object): Promise<string> => {
    socket.send(JSON.stringify(message) + ' '.repeat(PADDING));
    const [answer] = (await once(socket, 'message')) as [Buffer];
    return answer.toString();
  };
  const subscribe = (id: string) =>
    ask({ id, type: 'subscribe', payload: { query: conversationEventsQuery, variables: { conversationId, after } } });

  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}` } }));
  await once(socket, 'message');
  expect(await subscribe('the first')).toContain('ConversationCreated');
  const before = megabytes();
  for (let i = 0; i < SUBSCRIPTIONS; i += 1) expect(await subscribe(`${i}`)).toContain('ConversationCreated');
  expect(megabytes() - before).toBeLessThan((SUBSCRIPTIONS * PADDING) / 2 / 1024 / 1024);
});
