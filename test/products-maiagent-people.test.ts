import { beforeAll, describe, expect, test } from 'vitest';
import { ask, type Target } from './harness/client.ts';
import { addTenant, command, type Tenant } from './harness/products.ts';
import { useServer } from './harness/server.ts';
import { addWebChat, sign, visit, type WebChat } from './harness/visits.ts';

/*
 * What users of MaiAgent rely on about people and channels, and what it is in Parley:
 *
 * contacts: create, retrieve, update,      createContact or upsertContact, contact(ref), updateContact,
 *   list, by name and source id              contacts(keyword); sourceId is externalId
 * message.sender, a contact                contactId, or contact inline
 * 400 for a sender of somebody else        NotFoundError with the path of contactId
 * inboxes: create, list, update, delete    createInbox, inboxes, updateInbox, deleteInbox; channelType is channel
 * conversations?inbox=                     conversations(filter { inboxId })
 * a web chat on a page                     startVisit with the inbox's publicKey
 * a web chat that knows who is signed in   startVisit with an identity
 */

const server = useServer({ config: { visitLimitPerAddress: 0 } });
let chat: WebChat;
let another: Tenant;
beforeAll(async () => {
  chat = await addWebChat(server);
  another = await addTenant(server, 'knowledge');
});

const contact = 'id externalId displayName avatarUrl metadata';
const failure = '... on UserError { detail } ... on NotFoundError { path }';
const upsertContact = `mutation ($input: ContactIdentity!) {
  result: upsertContact(input: $input) { __typename ${failure.replace('... on NotFoundError { path }', '')}
    ... on UpsertContactPayload { contact { ${contact} } created } }
}`;
const createConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    __typename ${failure}
    ... on CreateConversationPayload { conversation { id version } message { id author { kind contact { id } displayName } } }
  }
}`;

const listed = async (filter: object): Promise<string[]> =>
  (
    await ask<{ conversations: { nodes: { id: string }[] } }>(
      server,
      'query ($filter: ConversationFilter) { conversations(filter: $filter) { nodes { id } } }',
      { filter },
    )
  ).conversations.nodes.map(({ id }) => id);

describe('a contact', () => {
  test('is made, changed, read and listed by the id that it has at its source', async () => {
    const made = await ask<{ result: { contact: { id: string }; created: boolean } }>(server, upsertContact, {
      input: {
        externalId: 'line:U42',
        displayName: 'Mei',
        avatarUrl: 'https://a.example/mei.png',
        metadata: { lang: 'zh' },
      },
    });
    expect(made.result.created).toBe(true);
    await ask(server, upsertContact, { input: { externalId: 'line:U42', metadata: { vip: true } } });
    const read = await ask<Record<string, unknown>>(
      server,
      `{ contact(ref: { externalId: "line:U42" }) { ${contact} } contacts(keyword: "mei") { nodes { id } } }`,
    );
    expect(read).toEqual({
      contact: {
        id: made.result.contact.id,
        externalId: 'line:U42',
        displayName: 'Mei',
        avatarUrl: 'https://a.example/mei.png',
        metadata: { lang: 'zh', vip: true },
      },
      contacts: { nodes: [{ id: made.result.contact.id }] },
    });
  });

  test('is the sender of a message, by its id or by the one at its source', async () => {
    const input = { contact: { externalId: 'line:U43', displayName: 'Lin' }, message: { content: { text: '你好' } } };
    const first = await command(server, createConversation, { ...input, action: 'NONE' });
    expect(first.message).toMatchObject({ author: { kind: 'END_USER', displayName: 'Lin' } });
    const { contact: lin } = await ask<{ contact: { id: string } }>(
      server,
      '{ contact(ref: { externalId: "line:U43" }) { id } }',
    );
    const second = await command(server, createConversation, { contactId: lin.id, action: 'NONE' });
    expect(new Set(await listed({ contactId: lin.id }))).toEqual(
      new Set([first.conversation.id, second.conversation.id]),
    );
  });

  test('of somebody else is not found', async () => {
    const { result } = await ask<{ result: { contact: { id: string } } }>(another, upsertContact, {
      input: { externalId: 'theirs' },
    });
    const refused = await command(server, createConversation, { contactId: result.contact.id, action: 'NONE' });
    expect(refused).toMatchObject({ __typename: 'NotFoundError', path: ['contactId'] });
  });
});

describe('an inbox', () => {
  test('is made for a channel, listed, renamed and deleted, and its conversations are listed by it', async () => {
    const { created } = await ask<{ created: { inbox: { id: string } } }>(
      server,
      `mutation { created: createInbox(input: { name: "LINE", channel: MESSAGING, metadata: { service: "line" } }) {
        ... on CreateInboxPayload { inbox { id } } } }`,
    );
    const { id } = created.inbox;
    const { conversation } = await command(server, createConversation, { inboxId: id, action: 'NONE' });
    expect(await listed({ inboxId: id })).toEqual([conversation.id]);
    const { updated, deleted } = await ask<Record<string, unknown>>(
      server,
      `mutation ($id: ID!) {
        updated: updateInbox(input: { inboxId: $id, name: "LINE (TW)" }) {
          ... on UpdateInboxPayload { inbox { name channel metadata } }
        }
        deleted: deleteInbox(input: { inboxId: $id }) { ... on DeleteInboxPayload { deletedInboxId } }
      }`,
      { id },
    );
    expect(updated).toEqual({ inbox: { name: 'LINE (TW)', channel: 'MESSAGING', metadata: { service: 'line' } } });
    expect(deleted).toEqual({ deletedInboxId: id });
    const { inboxes } = await ask<{ inboxes: { nodes: { id: string }[] } }>(server, '{ inboxes { nodes { id } } }');
    expect(inboxes.nodes.map((inbox) => inbox.id)).not.toContain(id);
  });
});

describe('a web chat', () => {
  const talk = async (visitor: Target, text: string) =>
    command(visitor, createConversation, { message: { content: { text } }, action: 'NONE' });

  test('takes visitors of a page without any account, who come back and find their conversation', async () => {
    const first = await visit(server, { inboxKey: chat.publicKey });
    const { conversation, message } = await talk({ url: server.url, key: first.token }, 'Hello');
    expect(message).toMatchObject({ author: { kind: 'END_USER' } });
    expect(await listed({ inboxId: chat.id, contactId: first.contact.id })).toEqual([conversation.id]);
    const again = await visit(server, { inboxKey: chat.publicKey, visitorSecret: first.visitorSecret });
    expect(await ask({ url: server.url, key: again.token }, '{ conversations { nodes { id } } }')).toEqual({
      conversations: { nodes: [{ id: conversation.id }] },
    });
  });

  test('knows who is signed in to the page, as the contact that programs know', async () => {
    const identity = await sign(chat, { sub: 'member-7', name: 'Chen' });
    const visited = await visit(server, { inboxKey: chat.publicKey, identity });
    const { contact: known } = await ask<{ contact: { id: string } }>(
      server,
      '{ contact(ref: { externalId: "member-7" }) { id } }',
    );
    expect(visited.contact).toMatchObject({ id: known.id, displayName: 'Chen' });
    const { message } = await talk({ url: server.url, key: visited.token }, 'Hi');
    expect(message).toMatchObject({ author: { displayName: 'Chen' } });
  });
});
