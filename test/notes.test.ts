import { beforeAll, expect, test } from 'vitest';
import { addContact, firstOrganization, mintToken } from './harness/access.ts';
import { ask, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { addAgent } from './harness/products.ts';
import { ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
const SECRET = 'They are about to leave us: be generous.';

let person: Target;
let conversationId: string;
beforeAll(async () => {
  const agentId = await addAgent(server.services, { runtime: 'scripted' });
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  const input = { agentId, contactId, action: 'NONE', title: 'Bikes', message: { content: { text: 'Hello' } } };
  conversationId = (await createConversation(server, input)).conversation.id;
  person = { url: server.url, key: await mintToken(server, { contactId }) };
});

const note = (more = '') =>
  ask<{ added: { message?: { id: string; role: string; author: { kind: string; displayName: string } } } }>(
    server,
    `mutation { added: addNote(input: { conversationId: "${conversationId}", content: { text: "${SECRET}" } ${more} }) {
      ... on AddNotePayload { message { id role author { kind displayName } } } ... on UserError { detail }
    } }`,
  ).then(({ added }) => added.message);

const everything = /* GraphQL */ `
  query ($id: ID!) {
    conversations(filter: { keyword: "generous" }) {
      nodes {
        id
      }
    }
    conversation(id: $id) {
      messageCount
      lastMessage {
        text
      }
      messages {
        nodes {
          role
          text
        }
      }
      notes: messages(roles: [NOTE]) {
        nodes {
          text
        }
      }
    }
  }
`;
interface Everything {
  conversations: { nodes: unknown[] };
  conversation: {
    messageCount: number;
    lastMessage: { text: string };
    messages: { nodes: { role: string; text: string }[] };
    notes: { nodes: { text: string }[] };
  };
}

test('a note is seen by operators, and is none of the messages that end users and agents see', async () => {
  const added = await note('author: { displayName: "Kim" }');
  expect(added).toMatchObject({ role: 'NOTE', author: { kind: 'HUMAN_AGENT', displayName: 'Kim' } });
  const byOperator = await ask<Everything>(server, everything, { id: conversationId });
  expect(byOperator.conversation.notes.nodes).toContainEqual({ text: SECRET });
  expect(byOperator.conversation).toMatchObject({ messageCount: 1, lastMessage: { text: 'Hello' } });
  expect(byOperator.conversations.nodes).toEqual([]);
  const byPerson = await ask<Everything>(person, everything, { id: conversationId });
  expect(JSON.stringify(byPerson)).not.toContain(SECRET);
  expect(byPerson.conversation).toMatchObject({ messageCount: 1, notes: { nodes: [] } });
  const { message, node } = await ask<{ message: unknown; node: unknown }>(
    person,
    `{ message(id: "${added?.id}") { text } node(id: "${added?.id}") { id } }`,
  );
  expect([message, node]).toEqual([null, null]);
});

test('a note in the middle of a reply comes into no prompt and disturbs nothing', async () => {
  await note();
  const { message, reply } = await send(server, { conversationId, content: { text: 'Which bike?' } });
  const script = await runtime.replyTo('Which bike?');
  await script.begin('The ');
  await note();
  await script.write('blue one.');
  await script.end();
  expect(JSON.stringify(script.turn)).not.toContain(SECRET);
  const following = `subscription { event: replyEvents(replyId: "${reply?.id}") { __typename ... on MessageCompleted { message { text inReplyTo { id } } } } }`;
  let last: unknown;
  for await (const { event } of subscribeWs<{ event: unknown }>(server, following)) last = event;
  expect(last).toMatchObject({ message: { text: 'The blue one.', inReplyTo: { id: message.id } } });
  const { conversation } = await ask<Everything>(server, everything, { id: conversationId });
  expect(conversation.lastMessage.text).toBe('The blue one.');
});

test('an end user who follows is told of what comes after a note, and not of the note', async () => {
  const events = subscribeWs<{ event: { __typename: string; message?: { text: string } } }>(
    person,
    `subscription { event: conversationEvents(conversationId: "${conversationId}") { __typename ... on MessageCreated { message { text } } } }`,
  );
  const first = events.next();
  let told = false;
  void first.then(() => (told = true));
  while (!told) {
    await note();
    await send(server, { conversationId, content: { text: 'Still there?' }, action: 'NONE' });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect((await first).value?.event.message?.text).toBe('Still there?');
  await events.return();
});
