import { beforeAll, expect, test } from 'vitest';
import { addContact, addKey, firstOrganization, mintToken } from './harness/access.ts';
import { ask, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let organizationId: string;
let colleague: Target;
beforeAll(async () => {
  organizationId = await firstOrganization(server.services);
  colleague = { url: server.url, key: (await addKey(server.services, { organizationId })).secret };
});

interface Sent {
  message: { id: string; clientId: string | null } | null;
  conversation: { id: string };
  issues: { path: string[]; code: string }[];
}
const result = '... on ConversationPayload { conversation { id } } ... on InvalidInputError { issues { path code } }';
const send = async (target: Target, conversationId: string, clientId: string | null) => {
  const { sent } = await ask<{ sent: Sent }>(
    target,
    `mutation ($input: SendMessageInput!) {
      sent: sendMessage(input: $input) { ... on SendMessagePayload { message { id clientId } } ${result} }
    }`,
    { input: { conversationId, clientId, content: { text: 'Hello' }, action: 'NONE' } },
  );
  return sent;
};
const readBy = async (target: Target, id: string) =>
  (await ask<{ message: { clientId: string | null } }>(target, `{ message(id: "${id}") { clientId } }`)).message
    .clientId;

async function person(): Promise<Target & { conversationId: string }> {
  const contactId = await addContact(server.services, organizationId);
  const { conversation } = await createConversation(server, { contactId, action: 'NONE' });
  return { url: server.url, key: await mintToken(server, { contactId }), conversationId: conversation.id };
}

test('who sent a message is told its clientId, and nobody else', async () => {
  const sender = await person();
  const byPerson = await send(sender, sender.conversationId, 'mine-1');
  expect(byPerson.message?.clientId).toBe('mine-1');
  const byOperator = await send(server, sender.conversationId, 'mine-1');
  const seen = async (id = '') => [await readBy(sender, id), await readBy(server, id), await readBy(colleague, id)];
  expect(await seen(byPerson.message?.id)).toEqual(['mine-1', null, null]);
  expect(await seen(byOperator.message?.id)).toEqual([null, 'mine-1', null]);
});

test('those who follow the same together are each told their own', async () => {
  const sender = await person();
  const query = `subscription ($id: ID!) {
    event: conversationEvents(conversationId: $id) { ... on MessageCreated { message { clientId } } }
  }`;
  interface Told {
    event: { message: { clientId: string | null } };
  }
  const followers = [sender, server, server, colleague].map((target) =>
    subscribeWs<Told>(target, query, { id: sender.conversationId }),
  );
  const firsts = followers.map((events) => events.next());
  // Each is told at the latest of the message that comes after it has begun to follow.
  let told = false;
  void Promise.all(firsts).then(() => (told = true));
  while (!told) {
    await send(server, sender.conversationId, 'typed');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const clientIds = (await Promise.all(firsts)).map(({ value }) => value?.event.message.clientId);
  expect(clientIds).toEqual([null, 'typed', 'typed', null]);
  await Promise.all(followers.map((events) => events.return()));
});

test('the first message of a conversation has one too', async () => {
  const { created } = await ask<{ created: Sent }>(
    server,
    `mutation ($input: CreateConversationInput!) {
      created: createConversation(input: $input) { ... on CreateConversationPayload { message { id clientId } } }
    }`,
    { input: { action: 'NONE', message: { content: { text: 'Hello' }, clientId: 'first' } } },
  );
  expect(created.message?.clientId).toBe('first');
});

test('one that is too long is refused', async () => {
  const { conversationId } = await person();
  expect((await send(server, conversationId, 'x'.repeat(255))).message?.clientId).toHaveLength(255);
  expect((await send(server, conversationId, 'é'.repeat(128))).issues).toEqual([
    { path: ['clientId'], code: 'TOO_LONG' },
  ]);
});
