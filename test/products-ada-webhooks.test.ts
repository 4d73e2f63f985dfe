import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ask } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { openReceiver, type Receiver } from './harness/receiver.ts';
import { useServer } from './harness/server.ts';
import { change, createWebhook, readDeliveries } from './harness/webhooks.ts';

/*
 * What users of Ada's webhooks rely on, and what it is in Parley:
 *
 * an endpoint with its events               createWebhook(url, events)
 * conversation created, message created     conversation.created, message.created
 * handoff started and ended, the end        handoff.started, handoff.ended, conversation.ended
 * data of the event in their own shape      a selection with aliases
 * a signature over id, time and body        the headers of Standard Webhooks
 * retries of what failed                    the same, under the same id
 * a log of deliveries, and resending        Webhook.deliveries, retryDelivery
 * replaying what was missed                 replayWebhook, from a time or a position
 */

const server = useServer({ config: { allowPrivateAddresses: true } });
let receiver: Receiver;
beforeAll(async () => {
  receiver = await openReceiver();
});
afterAll(() => receiver.close());

const selection = `{
  conversation_id: conversationId
  ... on MessageCreated {
    message { message_id: id created_at: createdAt author { role: kind display_name: displayName } content: text }
  }
}`;

test('an endpoint is told of a conversation from its creation to its end, and can have it all once more', async () => {
  const events = ['conversation.created', 'message.created', 'handoff.started', 'handoff.ended', 'conversation.ended'];
  const since = new Date();
  const { webhook, secret } = await createWebhook(server, { url: receiver.url, events, selection });
  receiver.secrets.push(secret);
  const { conversation } = await createConversation(server, { action: 'NONE' });
  const conversationId = conversation.id;
  await send(server, { conversationId, content: { text: 'My order is late.' }, action: 'NONE' });
  for (const command of ['startHandoff', 'endHandoff', 'endConversation']) {
    await ask(server, `mutation ($id: ID!) { ${command}(input: { conversationId: $id }) { __typename } }`, {
      id: conversationId,
    });
  }
  const told = (await receiver.until(events.length)).slice(0, events.length);
  expect(told.map(({ payload }) => payload.type)).toEqual(events);
  expect(told.every(({ verified }) => verified)).toBe(true);
  expect(told[1]?.payload.data).toEqual({
    conversation_id: conversationId,
    message: {
      message_id: expect.stringMatching(/^msg_/),
      created_at: expect.stringMatching(/Z$/),
      author: { role: 'END_USER', display_name: null },
      content: 'My order is late.',
    },
  });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED')).length === events.length);
  const [first] = await readDeliveries(server, webhook.id);
  await change(server, 'retryDelivery', { deliveryId: first?.id });
  const [resent] = (await receiver.until(events.length + 1)).slice(events.length);
  expect(resent).toMatchObject({ id: told[0]?.id, body: told[0]?.body });
  await change(server, 'replayWebhook', { webhookId: webhook.id, from: { time: since } });
  const again = (await receiver.until(2 * events.length + 1)).slice(events.length + 1);
  expect(again.map(({ payload }) => payload)).toEqual(told.map(({ payload }) => payload));
});

test('what an endpoint refuses is tried again until it takes it', async () => {
  const { webhook } = await createWebhook(server, { url: receiver.url, events: ['conversation.created'] });
  receiver.answer = (_request, response) => response.writeHead(500).end();
  await createConversation(server, { action: 'NONE' });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id))[0]?.attempts.length === 1);
  receiver.answer = (_request, response) => response.writeHead(200).end();
  const [failed] = await readDeliveries(server, webhook.id, 'PENDING');
  await change(server, 'retryDelivery', { deliveryId: failed?.id });
  await vi.waitUntil(async () => (await readDeliveries(server, webhook.id, 'DELIVERED'))[0]?.attempts.length === 2);
});
