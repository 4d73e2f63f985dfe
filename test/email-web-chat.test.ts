import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeAnyId } from '../src/ids.ts';
import { mintToken } from './harness/access.ts';
import { ask, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { addEmailInbox, type EmailInbox, lettersOf, openMailServer, post, written } from './harness/mail.ts';
import { addAgent, addContact, ImmediateRuntime } from './harness/products.ts';
import { record } from './harness/recording.ts';
import { useServer } from './harness/server.ts';

const mail = await openMailServer();
const server = useServer({ config: { smtpUrl: mail.url }, runtimes: [new ImmediateRuntime('immediate')] });
let inbox: EmailInbox;
let chat: string;
let agentId: string;

async function changeInbox(name: string, input: Record<string, unknown>) {
  const Name = name.charAt(0).toUpperCase() + name.slice(1);
  const { result } = await ask<{
    result: { inbox: { id: string; emailInbox: { id: string } | null }; path?: string[]; issues?: unknown };
  }>(
    server,
    `mutation ($input: ${Name}Input!) {
      result: ${name}(input: $input) {
        ... on ${Name}Payload { inbox { id emailInbox { id } } } ... on NotFoundError { path }
        ... on InvalidInputError { issues { path code } }
      }
    }`,
    { input },
  );
  return result;
}

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'immediate' });
  inbox = await addEmailInbox(server, 'help@shop.example', { agentId });
  const made = await changeInbox('createInbox', { name: 'Web', channel: 'WEB_CHAT', agentId, emailInboxId: inbox.id });
  chat = made.inbox.id;
});
afterAll(() => mail.close());

/** Somebody with an address writes in the web chat. */
async function write(email: string): Promise<{ conversationId: string; visitor: Target; reply: string }> {
  const contactId = await addContact(server.services, { email, externalId: email });
  const { conversation } = await createConversation(server, {
    contactId,
    inboxId: chat,
    action: 'NONE',
    title: 'A chat',
  });
  const { reply } = await send(server, {
    conversationId: conversation.id,
    content: { text: 'Hello' },
    runtimeParameters: { wordsPerSecond: 0 },
    awaitReply: true,
  });
  const visitor = { url: server.url, key: await mintToken(server, { contactId }) };
  return { conversationId: conversation.id, visitor, reply: reply?.text ?? '' };
}

const outgoing = async (conversationId: string) => (await lettersOf(server, { conversationId, direction: 'OUT' }))[0];

/** The minute in which somebody may come back is over. */
async function minutePasses(conversationId: string): Promise<void> {
  await expect.poll(() => outgoing(conversationId), { timeout: 10_000 }).toMatchObject({ status: 'WAITING' });
  const key = `letter:${decodeAnyId((await outgoing(conversationId))?.id ?? '')?.uuid}`;
  const { rows } = await server.services.pool.query<{ early: boolean }>(
    `SELECT run_at > now() + interval '30 seconds' AS early FROM graphile_worker.jobs WHERE key = $1`,
    [key],
  );
  expect(rows).toEqual([{ early: true }]);
  await server.services.pool.query(
    `SELECT FROM graphile_worker.reschedule_jobs(ARRAY(SELECT id FROM graphile_worker.jobs WHERE key = $1), run_at => now())`,
    [key],
  );
}

test('what somebody who has left has not read goes to their address, and their answer comes into the conversation', async () => {
  const { conversationId, reply } = await write('gone@example.com');
  await minutePasses(conversationId);
  const [letter] = await mail.until('gone@example.com', 1);
  expect(letter).toMatchObject({ text: reply, headers: { subject: 'A chat' } });
  await post(server, inbox, written({ From: 'gone@example.com', To: letter?.sender, text: 'I am back' }));
  await expect
    .poll(async () => (await lettersOf(server, { conversationId, direction: 'IN' }))[0]?.status, { timeout: 10_000 })
    .toBe('DONE');
  const [answer] = await lettersOf(server, { conversationId, direction: 'IN' });
  expect(answer?.conversation?.messages.nodes[2]).toMatchObject({ role: 'USER', text: 'I am back' });
});

test('who is there, or has read it, gets no letter', async () => {
  const there = await write('there@example.com');
  const following = record(
    subscribeWs<object>(
      there.visitor,
      'subscription ($id: ID!) { conversationEvents(conversationId: $id) { __typename } }',
      {
        id: there.conversationId,
      },
    ),
  );
  await minutePasses(there.conversationId);
  await expect.poll(async () => (await outgoing(there.conversationId))?.status, { timeout: 10_000 }).toBe('DROPPED');
  await following.leave();

  const reader = await write('reader@example.com');
  await ask(
    reader.visitor,
    `mutation { markRead(input: { conversationId: "${reader.conversationId}", position: 1 }) { __typename } }`,
  );
  await minutePasses(reader.conversationId);
  await expect.poll(async () => (await outgoing(reader.conversationId))?.status, { timeout: 10_000 }).toBe('DROPPED');
  expect(mail.letters.map(({ recipient }) => recipient)).not.toContain('reader@example.com');
});

test('an inbox that is told not to, and one of another kind, do not go on by email', async () => {
  expect((await changeInbox('updateInbox', { inboxId: chat, name: 'Chat' })).inbox.emailInbox).toEqual({
    id: inbox.id,
  });
  expect((await changeInbox('updateInbox', { inboxId: chat, emailInboxId: null })).inbox.emailInbox).toBeNull();
  const { conversationId } = await write('silent@example.com');
  // What comes after it in the log has become a letter; it has not.
  await post(server, inbox, written({ From: 'later@example.com' }));
  await mail.until('later@example.com', 1);
  expect(await outgoing(conversationId)).toBeUndefined();
  expect(await changeInbox('updateInbox', { inboxId: chat, emailInboxId: chat })).toMatchObject({
    issues: [{ path: ['emailInboxId'], code: 'NOT_ALLOWED' }],
  });
  expect(await changeInbox('updateInbox', { inboxId: inbox.id, emailInboxId: inbox.id })).toMatchObject({
    issues: [{ path: ['emailInboxId'], code: 'NOT_ALLOWED' }],
  });
  expect(await changeInbox('updateInbox', { inboxId: chat, emailInboxId: 'inbox_none' })).toMatchObject({
    path: ['emailInboxId'],
  });
});
