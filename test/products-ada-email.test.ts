import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from './harness/client.ts';
import { addEmailInbox, type EmailInbox, lettersOf, openMailServer, post, written } from './harness/mail.ts';
import { addAgent, addContact, command, ImmediateRuntime } from './harness/products.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of Ada's email channel and of MaiAgent's email inbox rely on, and what it is in Parley:
 *
 * start an email conversation             startEmailConversation
 *   end user, or their address              to { contactId } or to { address }
 *   subject, body                           subject, text
 *   metadata                                metadata
 * an email of the end user comes in       POST /email/<secret>
 * the bot's reply goes out                a letter for each complete reply
 * a human's reply, in a handoff           addAgentMessage
 * end the conversation                    endConversation; a later letter begins one that continues it
 * MaiAgent: an inbox of the channel email createInbox(channel: EMAIL, address)
 * MaiAgent: conversations of an inbox     conversations(filter { inboxId })
 */

const mail = await openMailServer();
const server = useServer({ config: { smtpUrl: mail.url }, runtimes: [new ImmediateRuntime('immediate')] });
let inbox: EmailInbox;
beforeAll(async () => {
  const agentId = await addAgent(server.services, { runtime: 'immediate' });
  inbox = await addEmailInbox(server, 'help@shop.example', { agentId });
});
afterAll(() => mail.close());

const start = (input: Record<string, unknown>) =>
  command(
    server,
    `mutation ($input: StartEmailConversationInput!) {
      result: startEmailConversation(input: $input) {
        __typename ... on StartEmailConversationPayload { conversation { id version } message { id } } ... on UserError { detail }
      }
    }`,
    { inboxId: inbox.id, subject: 'About your order', text: 'It is on its way.', ...input },
  );

describe("Ada's email channel", () => {
  test('starts a conversation with an end user, by subject and body, with metadata', async () => {
    const contactId = await addContact(server.services, {
      externalId: 'u-1',
      displayName: 'Ada',
      email: 'ada@example.com',
    });
    const { conversation } = await start({ to: { contactId }, metadata: { order: 1042 } });
    const [letter] = await mail.until('ada@example.com', 1);
    expect(letter).toMatchObject({ text: 'It is on its way.', headers: { subject: 'About your order' } });
    const found = await ask(
      server,
      'query ($id: ID!) { conversation(id: $id) { title metadata contact { externalId } inbox { channel address } } }',
      { id: conversation.id },
    );
    expect(found).toEqual({
      conversation: {
        title: 'About your order',
        metadata: { order: 1042 },
        contact: { externalId: 'u-1' },
        inbox: { channel: 'EMAIL', address: 'help@shop.example' },
      },
    });
  });

  test('takes the answer into the conversation, where the bot answers, then a human, and then it ends', async () => {
    const from = 'grace@example.com';
    const { conversation } = await start({ to: { address: from } });
    const [first] = await mail.until(from, 1);
    await post(server, inbox, written({ From: from, To: first?.sender, text: 'When?' }));
    const [, second] = await mail.until(from, 2);
    expect(second?.headers).toMatchObject({ subject: 'Re: About your order', 'auto-submitted': 'auto-replied' });
    const conversationId = conversation.id;
    const say = (name: string, input: Record<string, unknown>) => {
      const Name = name.charAt(0).toUpperCase() + name.slice(1);
      return command(
        server,
        `mutation ($input: ${Name}Input!) { result: ${name}(input: $input) { __typename ... on UserError { detail } } }`,
        { conversationId, ...input },
      );
    };
    await say('startHandoff', { assignee: 'Kim' });
    await say('addAgentMessage', {
      content: { text: 'Tomorrow.' },
      author: { kind: 'HUMAN_AGENT', displayName: 'Kim' },
    });
    const [, , third] = await mail.until(from, 3);
    expect(third).toMatchObject({ text: 'Tomorrow.', headers: { from: '"Kim (Shop)" <help@shop.example>' } });
    await say('endConversation', {});
    await post(server, inbox, written({ From: from, To: third?.sender, text: 'Thanks' }));
    await mail.until(from, 4);
    const letters = await lettersOf(server, { inboxId: inbox.id, direction: 'IN' });
    expect(letters.at(-1)?.conversation?.continues).toEqual({ id: conversationId });
  });
});

describe("MaiAgent's email inbox", () => {
  test('is an inbox of the channel email, whose conversations are listed by it', async () => {
    const own = await addEmailInbox(server, 'mai@shop.example');
    await post(server, own, written({ From: 'lin@example.com', To: own.address, Subject: 'A question' }));
    await mail.until('lin@example.com', 1);
    const { conversations } = await ask<{ conversations: { nodes: { title: string }[] } }>(
      server,
      'query ($id: ID!) { conversations(filter: { inboxId: $id }) { nodes { title } } }',
      { id: own.id },
    );
    expect(conversations.nodes).toEqual([{ title: 'A question' }]);
  });
});
