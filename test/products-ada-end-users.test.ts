import { beforeAll, describe, expect, test } from 'vitest';
import { addOrganization, mintToken, type Organization } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of Ada rely on about end users and channels, and what it is in Parley:
 *
 * POST /end-users, with a profile           createContact, or upsertContact by external_id
 * PATCH /end-users/:id, additive metadata   updateContact; a null removes
 * GET /end-users/:id, ?external_id=         contact(ref: { id | externalId | email })
 * GET /end-users                            contacts
 * profile { first_name, email, avatar }     displayName, email, avatarUrl, metadata
 * POST /conversations with end_user_id      createConversation with contactId, or contact inline
 * message.author { role, id, avatar,        message.author { kind, contact, avatarUrl, displayName }
 *   display_name }
 * channels: name, modality, metadata        createInbox { name, channel, metadata }, inboxes
 * POST /conversations/:id/end               endConversation
 * an end user's own client                  createClientToken with grants
 * compliance: delete a person's data,       eraseContacts by external_id or email, jobProgress with an
 *   up to 1,000 at once, with a status       outcome for each
 */

const server = useServer();
let foreign: Organization;
beforeAll(async () => {
  foreign = await addOrganization(server.services);
});

const profile = 'id externalId displayName email avatarUrl metadata anonymous createdAt lastSeenAt';

interface Profile {
  id: string;
  metadata: Record<string, unknown>;
}

async function change(
  name: string,
  type: string,
  input: object,
  target: Target = server,
): Promise<Record<string, unknown>> {
  const payload = `${name.charAt(0).toUpperCase()}${name.slice(1)}Payload`;
  const { result } = await ask<{ result: Record<string, unknown> }>(
    target,
    `mutation ($input: ${type}!) {
      result: ${name}(input: $input) { __typename ... on ${payload} { contact { ${profile} } } ... on UserError { detail } }
    }`,
    { input },
  );
  return result;
}

const contactOf = (result: Record<string, unknown>) => result['contact'] as Profile;

describe('an end user', () => {
  const ada = {
    externalId: 'crm-1',
    displayName: 'Ada',
    email: 'ada@example.com',
    avatarUrl: 'https://a.example/ada.png',
    metadata: { language: 'en', plan: 'pro', seats: 3, beta: true },
  };

  test('is made before a conversation, with a profile, and read by its id, external id and email', async () => {
    const made = contactOf(await change('createContact', 'CreateContactInput', ada));
    expect(made).toMatchObject({ ...ada, anonymous: false, lastSeenAt: null });
    for (const ref of [{ id: made.id }, { externalId: 'crm-1' }, { email: 'ada@example.com' }]) {
      expect(await ask(server, `query ($ref: ContactRef!) { contact(ref: $ref) { ${profile} } }`, { ref })).toEqual({
        contact: made,
      });
    }
    const again = await change('createContact', 'CreateContactInput', ada);
    expect(again['__typename']).toBe('InvalidInputError');
  });

  test('has metadata that is added to, key by key', async () => {
    const made = contactOf(await change('upsertContact', 'ContactIdentity', { ...ada, externalId: 'crm-2' }));
    const changed = await change('updateContact', 'UpdateContactInput', {
      contactId: made.id,
      displayName: null,
      metadata: { plan: null, city: 'London' },
    });
    expect(changed['contact']).toEqual({
      ...made,
      displayName: null,
      metadata: { language: 'en', seats: 3, beta: true, city: 'London' },
    });
  });

  test('of another organization is neither read nor changed', async () => {
    const theirs = { url: server.url, key: foreign.key };
    const made = contactOf(await change('upsertContact', 'ContactIdentity', { externalId: 'secret' }));
    expect(await ask(theirs, `{ contact(ref: { externalId: "secret" }) { id } }`)).toEqual({ contact: null });
    const refused = await change('updateContact', 'UpdateContactInput', { contactId: made.id, email: null }, theirs);
    expect(refused['__typename']).toBe('NotFoundError');
  });

  test('is the author of what they write, with name and avatar, and keeps their conversations listed', async () => {
    const made = contactOf(await change('upsertContact', 'ContactIdentity', { ...ada, externalId: 'crm-3' }));
    const { conversation } = await createConversation(server, { contactId: made.id, action: 'NONE' });
    const { message } = await send(server, {
      conversationId: conversation.id,
      content: { text: 'Hi' },
      action: 'NONE',
    });
    const read = await ask(
      server,
      `query ($message: ID!, $contact: ID!) {
        message(id: $message) { author { kind displayName avatarUrl contact { id } } }
        conversations(filter: { contactId: $contact }) { nodes { id } }
      }`,
      { message: message.id, contact: made.id },
    );
    expect(read).toEqual({
      message: { author: { kind: 'END_USER', displayName: 'Ada', avatarUrl: ada.avatarUrl, contact: { id: made.id } } },
      conversations: { nodes: [{ id: conversation.id }] },
    });
  });

  test('uses a client of their own, which begins, asks for a human and ends as it is granted', async () => {
    const grants = ['START_CONVERSATION', 'ASK_FOR_HUMAN', 'END'];
    const token = await mintToken(server, { contact: { externalId: 'crm-4' }, grants });
    const client = { url: server.url, key: token };
    const { conversation } = await createConversation(client, { action: 'NONE' });
    const act = (fields: string) => ask(client, `mutation ($id: ID!) { result: ${fields} }`, { id: conversation.id });
    expect(await act('startHandoff(input: { conversationId: $id, reason: "Please" }) { __typename }')).toEqual({
      result: { __typename: 'StartHandoffPayload' },
    });
    expect(await act('endConversation(input: { conversationId: $id }) { __typename }')).toEqual({
      result: { __typename: 'EndConversationPayload' },
    });
    const { errors } = await graphql(client, '{ contacts { nodes { id } } }');
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
  });
});

test("a person's data is deleted on request, and its status can be read meanwhile and afterwards", async () => {
  const people = ['gdpr-1', 'gdpr-2'];
  for (const externalId of people) await createConversation(server, { contact: { externalId }, action: 'NONE' });
  const outcomes = '... on Erasure { status outcomes { index status conversations } }';
  const { result } = await ask<{ result: { erasure: { id: string } } }>(
    server,
    `mutation ($contacts: [ContactRef!]!) { result: eraseContacts(input: { contacts: $contacts, reason: "Request 17" }) {
      ... on EraseContactsPayload { erasure { id } } } }`,
    { contacts: [...people, 'gdpr-3'].map((externalId) => ({ externalId })) },
  );
  const { id } = result.erasure;
  let last: unknown;
  for await (const { job } of subscribeWs<{ job: unknown }>(
    server,
    `subscription { job: jobProgress(id: "${id}") { ${outcomes} } }`,
  )) {
    last = job;
  }
  expect(last).toEqual({
    status: 'DONE',
    outcomes: [
      { index: 0, status: 'ERASED', conversations: 1 },
      { index: 1, status: 'ERASED', conversations: 1 },
      { index: 2, status: 'NOT_FOUND', conversations: 0 },
    ],
  });
  expect(await ask(server, `{ node(id: "${id}") { ${outcomes} } }`)).toEqual({ node: last });
  expect(await ask(server, '{ contact(ref: { externalId: "gdpr-1" }) { id } }')).toEqual({ contact: null });
});

test('a channel has a name, a modality and metadata', async () => {
  for (const channel of ['MESSAGING', 'EMAIL', 'VOICE', 'SMS', 'WEB_CHAT']) {
    const { result } = await ask<Record<string, unknown>>(
      server,
      `mutation ($channel: InboxChannel!) {
        result: createInbox(input: { name: "Custom", channel: $channel, metadata: { region: "eu" } }) {
          ... on CreateInboxPayload { inbox { name channel metadata } }
        }
      }`,
      { channel },
    );
    expect(result).toEqual({ inbox: { name: 'Custom', channel, metadata: { region: 'eu' } } });
  }
});
