import { beforeAll, describe, expect, test } from 'vitest';
import { ask, graphql, subscribeWs } from './harness/client.ts';
import {
  addAgent,
  addContact,
  addInbox,
  addTenant,
  command,
  ImmediateRuntime,
  replyIdOf,
  rowId,
} from './harness/products.ts';
import { record } from './harness/recording.ts';
import { ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of Ada rely on, and what it is in Parley:
 *
 * create a conversation on a channel        createConversation(inboxId, contactId, metadata, action: NONE)
 * update a conversation: additive metadata  updateConversation, a JSON Merge Patch (RFC 7396)
 * author {role, id, avatar, display_name}   author {kind, externalId, avatarUrl, displayName}
 * role end_user                             END_USER, of sendMessage
 * role ai_agent, human_agent                AI_AGENT, HUMAN_AGENT, of addAgentMessage
 * content {type: text, body}                content {text}
 * end a conversation                        endConversation
 * handoff                                   startHandoff, acceptHandoff; HANDED_OFF in the meantime
 * end a handoff                             endHandoff
 * 422 when no handoff is on                 NotHandedOffError
 * requests of up to 10 MB                   the same
 * messages by cursor and limit              messages(first, after), messages(last, before)
 */

const scripted = new ScriptedRuntime();
const immediate = new ImmediateRuntime('immediate');
const server = useServer({ runtimes: [scripted, immediate] });
let agentId: string;
let scriptedAgentId: string;

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'immediate', name: 'Nell' });
  scriptedAgentId = await addAgent(server.services, { runtime: 'scripted' });
});

const handoff = 'id status reason queue assignee metadata startedAt acceptedAt endedAt conversation { id }';
const author = 'author { kind externalId displayName avatarUrl contact { id } agent { id } }';
const message = `id role status text metadata inReplyTo { id } ${author}`;
const conversation = `id status version title metadata messageCount endedAt runningReply { id } lastMessage { id }
  contact { id } inbox { id name channel } agent { id } handoff { ${handoff} } handoffs { nodes { ${handoff} } }`;
const failure =
  '... on UserError { detail } ... on NotFoundError { path } ... on InvalidInputError { issues { path detail } }';
const ended = `... on ConversationEndedError { conversation { ${conversation} } }`;
const handedOff = `... on HandedOffError { conversation { ${conversation} } handoff { ${handoff} } }`;
const notHandedOff = `... on NotHandedOffError { conversation { ${conversation} } }`;

const createConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    __typename ${failure}
    ... on CreateConversationPayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const updateConversation = `mutation ($input: UpdateConversationInput!) {
  result: updateConversation(input: $input) {
    __typename ${failure}
    ... on UpdateConversationPayload { conversation { ${conversation} } }
  }
}`;
const sendMessage = `mutation ($input: SendMessageInput!) {
  result: sendMessage(input: $input) {
    __typename ${failure} ${ended}
    ... on SendMessagePayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const addAgentMessage = `mutation ($input: AddAgentMessageInput!) {
  result: addAgentMessage(input: $input) {
    __typename ${failure} ${ended}
    ... on AddAgentMessagePayload { cursor conversation { ${conversation} } message { ${message} } }
  }
}`;
const sendControl = `mutation ($input: SendControlInput!) {
  result: sendControl(input: $input) {
    __typename ${failure} ${ended} ${handedOff}
    ... on SendControlPayload { cursor conversation { ${conversation} } message { ${message} } }
  }
}`;
const regenerateReply = `mutation ($input: RegenerateReplyInput!) {
  result: regenerateReply(input: $input) { __typename ${failure} ${ended} ${handedOff} }
}`;
const endConversation = `mutation ($input: EndConversationInput!) {
  result: endConversation(input: $input) {
    __typename ${failure}
    ... on EndConversationPayload { cursor conversation { ${conversation} } }
  }
}`;
const startHandoff = `mutation ($input: StartHandoffInput!) {
  result: startHandoff(input: $input) {
    __typename ${failure} ${ended} ${handedOff}
    ... on StartHandoffPayload { cursor conversation { ${conversation} } handoff { ${handoff} } }
  }
}`;
const acceptHandoff = `mutation ($input: AcceptHandoffInput!) {
  result: acceptHandoff(input: $input) {
    __typename ${failure} ${ended} ${handedOff} ${notHandedOff}
    ... on AcceptHandoffPayload { cursor conversation { ${conversation} } handoff { ${handoff} } }
  }
}`;
const endHandoff = `mutation ($input: EndHandoffInput!) {
  result: endHandoff(input: $input) {
    __typename ${failure} ${ended} ${notHandedOff}
    ... on EndHandoffPayload { cursor conversation { ${conversation} } handoff { ${handoff} } }
  }
}`;

async function newConversation(input: Record<string, unknown> = {}): Promise<string> {
  const created = await command(server, createConversation, { agentId, action: 'NONE', ...input });
  return created.conversation.id;
}

interface Read {
  conversation: {
    version: number;
    metadata: Record<string, unknown>;
    messages: { nodes: { role: string; text: string; status: string }[] };
  };
}

async function read(id: string): Promise<Read['conversation']> {
  const query = `query ($id: ID!) { conversation(id: $id) { ${conversation} messages { nodes { ${message} } } } }`;
  return (await ask<Read>(server, query, { id })).conversation;
}

async function transcript(id: string): Promise<string[]> {
  return (await read(id)).messages.nodes.map(({ role, text }) => `${role}: ${text}`);
}

describe('a conversation', () => {
  test('belongs to a channel and an end user, and is answered by the agent of the channel', async () => {
    const inboxId = await addInbox(server.services, {
      name: 'Our app',
      channel: 'OTHER',
      agentId: rowId('Agent', agentId),
    });
    const contactId = await addContact(server.services, { displayName: 'Ada Lovelace' });
    const created = await command(server, createConversation, {
      inboxId,
      contactId,
      metadata: { plan: 'gold' },
      action: 'NONE',
    });
    expect(created.conversation).toMatchObject({
      status: 'ACTIVE',
      inbox: { id: inboxId, name: 'Our app', channel: 'OTHER' },
      contact: { id: contactId },
      agent: { id: agentId },
      metadata: { plan: 'gold' },
      endedAt: null,
      handoff: null,
    });
  });

  test('on a channel without an agent is answered by the default one', async () => {
    const inboxId = await addInbox(server.services);
    const created = await command(server, createConversation, { inboxId, action: 'NONE' });
    const agent = 'query ($id: ID!) { conversation(id: $id) { inbox { agent { id } } agent { name } } }';
    expect(await ask(server, agent, { id: created.conversation.id })).toEqual({
      conversation: { inbox: { agent: null }, agent: { name: 'Parley guide' } },
    });
  });

  test.each([
    ['inboxId', addInbox],
    ['contactId', addContact],
  ])('is refused for an unknown or foreign %s', async (field, add) => {
    const { organizationId } = await addTenant(server, 'immediate');
    for (const id of [await add(server.services, { organizationId }), 'nonsense']) {
      const refused = await command(server, createConversation, { agentId, [field]: id });
      expect(refused).toMatchObject({ __typename: 'NotFoundError', path: [field] });
    }
  });
});

describe('the author of a message', () => {
  const person = {
    externalId: 'crm-81',
    displayName: 'Ada Lovelace',
    avatarUrl: 'https://example.org/ada.png',
  };

  test("who is the end user is the conversation's contact unless the message says more", async () => {
    const contactId = await addContact(server.services, person);
    const conversationId = await newConversation({ contactId });
    const input = { conversationId, content: { text: 'Hello!' }, action: 'NONE' };
    const contact = { kind: 'END_USER', ...person, contact: { id: contactId }, agent: null };
    expect((await command(server, sendMessage, input)).message).toMatchObject({ role: 'USER', author: contact });

    const guest = { displayName: 'Byron', externalId: 'guest-1' };
    const sent = await command(server, sendMessage, { ...input, author: guest });
    expect(sent.message).toMatchObject({ author: { kind: 'END_USER', ...guest } });
  });

  test('can be unknown', async () => {
    const conversationId = await newConversation();
    const sent = await command(server, sendMessage, { conversationId, content: { text: 'Hello!' }, action: 'NONE' });
    expect(sent.message).toMatchObject({
      author: { kind: 'END_USER', externalId: null, displayName: null, avatarUrl: null, contact: null, agent: null },
    });
  });

  test('who is the AI agent is named, in a reply as in a message that is added', async () => {
    const conversationId = await newConversation();
    const nell = { kind: 'AI_AGENT', displayName: 'Nell', agent: { id: agentId }, contact: null };
    const sent = await command(server, sendMessage, { conversationId, content: { text: 'Hi.' }, awaitReply: true });
    expect(sent.reply).toMatchObject({ role: 'AGENT', author: nell });
    const added = await command(server, addAgentMessage, { conversationId, content: { text: 'By the way …' } });
    expect(added.message).toMatchObject({ role: 'AGENT', author: nell });
    const avatarUrl = 'https://example.org/nell.png';
    const dressed = await command(server, addAgentMessage, {
      conversationId,
      content: { text: 'Look at me!' },
      author: { kind: 'AI_AGENT', displayName: 'Nelly', avatarUrl },
    });
    expect(dressed.message).toMatchObject({ author: { ...nell, displayName: 'Nelly', avatarUrl } });
  });

  test('who is a human agent is shown by name and picture', async () => {
    const conversationId = await newConversation();
    const human = {
      kind: 'HUMAN_AGENT',
      externalId: 'staff-7',
      displayName: 'Grace',
      avatarUrl: 'https://example.org/g.png',
    };
    const content = { text: 'I am a person.' };
    const added = await command(server, addAgentMessage, { conversationId, content, author: human });
    expect(added.message).toMatchObject({
      role: 'AGENT',
      status: 'DONE',
      author: { ...human, agent: null, contact: null },
    });
  });

  test('stays as known when the message was written', async () => {
    const contactId = await addContact(server.services, { displayName: 'Augusta Byron' });
    const conversationId = await newConversation({ contactId });
    await command(server, sendMessage, { conversationId, content: { text: 'Before.' }, action: 'NONE' });
    const where = { id: rowId('Contact', contactId) };
    await server.services.prisma.contact.update({ where, data: { displayName: 'Ada King' } });
    await command(server, sendMessage, { conversationId, content: { text: 'After.' }, action: 'NONE' });
    expect((await read(conversationId)).messages.nodes).toMatchObject([
      { text: 'Before.', author: { displayName: 'Augusta Byron' } },
      { text: 'After.', author: { displayName: 'Ada King' } },
    ]);
  });

  test.each([
    ["an end user's message", sendMessage, 'HUMAN_AGENT'],
    ["an end user's message", sendMessage, 'AI_AGENT'],
    ["an end user's message", sendMessage, 'SYSTEM'],
    ["an agent's message", addAgentMessage, 'END_USER'],
    ["an agent's message", addAgentMessage, 'SYSTEM'],
  ])('of %s cannot be anything else', async (_name, document, kind) => {
    const conversationId = await newConversation();
    const input = { conversationId, content: { text: 'Who am I?' }, author: { kind } };
    await expect(command(server, document, input)).rejects.toThrow('BAD_USER_INPUT');
    expect(await transcript(conversationId)).toEqual([]);
  });

  test('has a picture that a browser can be sent to', async () => {
    const conversationId = await newConversation();
    const author = { avatarUrl: 'javascript:alert(1)' };
    const refused = await command(server, sendMessage, { conversationId, content: { text: 'Boo.' }, author });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['author', 'avatarUrl'] }] });
    expect(await transcript(conversationId)).toEqual([]);
  });
});

describe('the content of a message', () => {
  test('comes back exactly as it was sent', async () => {
    const conversationId = await newConversation();
    const text = '  **Olá** – «ça va»? \n\t退款 🧑🏽‍🚀 e\u0301 \u202Eabc <script>&amp; ';
    await command(server, sendMessage, { conversationId, content: { text }, action: 'NONE' });
    expect((await read(conversationId)).messages.nodes).toMatchObject([{ text }]);
  });
});

describe('updating a conversation', () => {
  test.each([
    ['adds keys', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['replaces values', { a: 1, b: 2 }, { a: 'one' }, { a: 'one', b: 2 }],
    ['removes a key that is null', { a: 1, b: 2 }, { a: null, c: null }, { b: 2 }],
    [
      'merges objects at any depth',
      { a: { b: { c: 1, d: 2 } } },
      { a: { b: { d: null, e: 3 } } },
      { a: { b: { c: 1, e: 3 } } },
    ],
    ['replaces lists as a whole', { tags: ['x', 'y'] }, { tags: ['z', null] }, { tags: ['z', null] }],
    ['makes an object of what was none', { a: 'text' }, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
    ['takes any key for a key', {}, JSON.parse('{"__proto__": {"x": 1}}'), JSON.parse('{"__proto__": {"x": 1}}')],
  ])('%s', async (_name, before: object, patch: object, after: object) => {
    const conversationId = await newConversation({ metadata: before });
    const updated = await command(server, updateConversation, { conversationId, metadata: patch });
    expect(updated.__typename).toBe('UpdateConversationPayload');
    expect(JSON.stringify((await read(conversationId)).metadata)).toBe(JSON.stringify(after));
  });

  test('leaves alone what it does not name, and changes nothing when nothing is new', async () => {
    const conversationId = await newConversation({ metadata: { a: 1 }, title: 'Before' });
    const titled = await command(server, updateConversation, { conversationId, title: 'After' });
    expect(titled.conversation).toMatchObject({ title: 'After', metadata: { a: 1 }, version: 2 });
    for (const metadata of [{}, { a: 1 }, { gone: null }]) {
      const same = await command(server, updateConversation, { conversationId, metadata });
      expect(same.conversation).toMatchObject({ title: 'After', metadata: { a: 1 }, version: 2 });
    }
    const untitled = await command(server, updateConversation, { conversationId, title: null });
    expect(untitled.conversation).toMatchObject({ title: null, version: 3 });
  });

  test("by several at once loses nobody's keys", async () => {
    const conversationId = await newConversation();
    const keys = Array.from({ length: 20 }, (_, i) => `key${i}`);
    await Promise.all(
      keys.map((key) => command(server, updateConversation, { conversationId, metadata: { [key]: key } })),
    );
    const { metadata, version } = await read(conversationId);
    expect(Object.keys(metadata).sort()).toEqual([...keys].sort());
    expect(version).toBe(21);
  });

  test('is limited to 64 KiB of metadata once merged', async () => {
    const half = 'x'.repeat(40 * 1024);
    const conversationId = await newConversation({ metadata: { a: half } });
    const refused = await command(server, updateConversation, { conversationId, metadata: { b: half } });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['metadata'] }] });
    const replaced = await command(server, updateConversation, { conversationId, metadata: { a: null, b: half } });
    expect(replaced.__typename).toBe('UpdateConversationPayload');
    expect(Object.keys((await read(conversationId)).metadata)).toEqual(['b']);
  });

  test('is possible while a reply is generated, and after the end', async () => {
    const conversationId = await newConversation({ agentId: scriptedAgentId });
    await command(server, sendMessage, { conversationId, content: { text: 'Talk while I tag you.' } });
    await scripted.replyTo('Talk while I tag you.');
    const during = await command(server, updateConversation, { conversationId, metadata: { tagged: true } });
    expect(during.conversation).toMatchObject({ metadata: { tagged: true }, runningReply: { id: expect.any(String) } });
    await command(server, endConversation, { conversationId });
    const after = await command(server, updateConversation, { conversationId, metadata: { csat: 5 } });
    expect(after.conversation).toMatchObject({ status: 'ENDED', metadata: { tagged: true, csat: 5 } });
  });
});

describe('ending a conversation', () => {
  test('lets nobody say anything more, and keeps all that was said', async () => {
    const conversationId = await newConversation();
    const sent = await command(server, sendMessage, { conversationId, content: { text: 'Bye!' }, awaitReply: true });
    const done = await command(server, endConversation, { conversationId, reason: 'solved' });
    expect(done).toMatchObject({
      __typename: 'EndConversationPayload',
      conversation: { status: 'ENDED', endedAt: expect.any(String), version: sent.conversation.version + 1 },
    });
    const attempts: [string, Record<string, unknown>][] = [
      [sendMessage, { conversationId, content: { text: 'Wait!' } }],
      [sendMessage, { conversationId, content: { text: 'Wait!' }, action: 'NONE' }],
      [addAgentMessage, { conversationId, content: { text: 'Yes?' } }],
      [sendControl, { conversationId, content: { text: 'Say yes.' } }],
      [regenerateReply, { replyId: replyIdOf(sent) }],
      [startHandoff, { conversationId }],
      [acceptHandoff, { conversationId, assignee: 'Grace' }],
      [endHandoff, { conversationId }],
    ];
    for (const [document, input] of attempts) {
      const refused = await command(server, document, input);
      expect(refused).toMatchObject({ __typename: 'ConversationEndedError', conversation: { status: 'ENDED' } });
    }
    expect(await transcript(conversationId)).toEqual(['USER: Bye!', expect.stringMatching(/^AGENT: ./)]);
  });

  test('twice is harmless', async () => {
    const conversationId = await newConversation();
    const once = await command(server, endConversation, { conversationId });
    const twice = await command(server, endConversation, { conversationId, reason: 'once more' });
    expect(twice).toEqual(once);
  });

  test('stops the reply that is running and keeps its text', async () => {
    const conversationId = await newConversation({ agentId: scriptedAgentId });
    await command(server, sendMessage, { conversationId, content: { text: 'Never mind.' } });
    const script = await scripted.replyTo('Never mind.');
    await script.begin('Are you');
    const done = await command(server, endConversation, { conversationId });
    expect(done.conversation).toMatchObject({ status: 'ENDED', runningReply: null });
    await script.aborted;
    await script.write(' sure?');
    expect((await read(conversationId)).messages.nodes).toMatchObject([
      { text: 'Never mind.' },
      { text: 'Are you', status: 'STOPPED' },
    ]);
  });

  test('ends its handoff too', async () => {
    const conversationId = await newConversation();
    await command(server, startHandoff, { conversationId, assignee: 'Grace' });
    const done = await command(server, endConversation, { conversationId });
    expect(done.conversation).toMatchObject({
      status: 'ENDED',
      handoff: null,
      handoffs: { nodes: [{ status: 'ENDED', assignee: 'Grace', endedAt: expect.any(String) }] },
    });
  });

  test('is told to followers, after the handoff that it ended', async () => {
    const conversationId = await newConversation();
    const started = await command(server, startHandoff, { conversationId });
    const document = `subscription ($conversationId: ID!, $after: EventCursor!) {
      conversationEvents(conversationId: $conversationId, after: $after) {
        __typename
        ... on VersionedEvent { version conversation { status } }
      }
    }`;
    const events = record(subscribeWs(server, document, { conversationId, after: started.cursor }));
    await command(server, endConversation, { conversationId });
    await events.until((seen) => seen.length >= 2);
    await events.leave();
    const { version } = started.conversation;
    const over = { conversation: { status: 'ENDED' } };
    expect(events.events).toEqual([
      { conversationEvents: { __typename: 'HandoffEnded', version: version + 1, ...over } },
      { conversationEvents: { __typename: 'ConversationEnded', version: version + 2, ...over } },
    ]);
  });

  test('of an unknown conversation finds nothing', async () => {
    const refused = await command(server, endConversation, { conversationId: 'conv_00000000000000000000000000' });
    expect(refused).toMatchObject({ __typename: 'NotFoundError', path: ['conversationId'] });
  });
});

describe('a handoff', () => {
  test('goes from the AI agent to a human and back, and each step is told to followers', async () => {
    const created = await command(server, createConversation, { agentId, action: 'NONE' });
    const conversationId = created.conversation.id;
    const text = (content: string) => ({ conversationId, content: { text: content } });

    const started = await command(server, startHandoff, {
      conversationId,
      reason: 'wants a refund',
      queue: 'billing',
      metadata: { urgent: true },
    });
    const waiting = {
      id: started.handoff.id,
      status: 'WAITING',
      reason: 'wants a refund',
      queue: 'billing',
      assignee: null,
      metadata: { urgent: true },
      acceptedAt: null,
      endedAt: null,
      conversation: { id: conversationId },
    };
    expect(started).toMatchObject({ conversation: { status: 'HANDED_OFF', handoff: waiting }, handoff: waiting });

    const asked = await command(server, sendMessage, text('Is anybody there?'));
    expect(asked).toMatchObject({
      __typename: 'SendMessagePayload',
      reply: null,
      conversation: { runningReply: null },
    });

    const accepted = await command(server, acceptHandoff, { conversationId, assignee: 'Grace' });
    expect(accepted).toMatchObject({
      conversation: { status: 'HANDED_OFF' },
      handoff: { ...waiting, status: 'ACCEPTED', assignee: 'Grace', acceptedAt: expect.any(String) },
    });
    const author = { kind: 'HUMAN_AGENT', displayName: 'Grace' };
    await command(server, addAgentMessage, { ...text('I am. Refunded!'), author, inReplyToId: asked.message.id });

    const back = await command(server, endHandoff, { conversationId });
    expect(back).toMatchObject({
      conversation: { status: 'ACTIVE', handoff: null, handoffs: { nodes: [{ id: waiting.id, status: 'ENDED' }] } },
      handoff: { id: waiting.id, status: 'ENDED', assignee: 'Grace', endedAt: expect.any(String) },
    });
    const thanked = await command(server, sendMessage, { ...text('Thanks, both!'), awaitReply: true });
    expect(thanked.reply).toMatchObject({ status: 'DONE', author: { kind: 'AI_AGENT' } });
    expect(immediate.lastTurn.history.map(({ role, text: said }) => [role, said])).toEqual([
      ['USER', 'Is anybody there?'],
      ['AGENT', 'I am. Refunded!'],
      ['USER', 'Thanks, both!'],
    ]);

    const document = `subscription ($conversationId: ID!, $after: EventCursor!) {
      conversationEvents(conversationId: $conversationId, after: $after, fragments: false) {
        __typename
        ... on HandoffStarted { handoff { id } }
        ... on HandoffAccepted { handoff { id } }
        ... on HandoffEnded { handoff { id } }
        ... on MessageCreated { message { role author { kind } } }
      }
    }`;
    const events = record(
      subscribeWs<{ conversationEvents: unknown }>(server, document, { conversationId, after: created.cursor }),
    );
    await events.until((seen) => seen.length >= 8);
    await events.leave();
    const ofHandoff = { handoff: { id: waiting.id } };
    const said = (role: string, kind: string) => ({
      __typename: 'MessageCreated',
      message: { role, author: { kind } },
    });
    expect(events.events.map((event) => event.conversationEvents)).toEqual([
      { __typename: 'HandoffStarted', ...ofHandoff },
      said('USER', 'END_USER'),
      { __typename: 'HandoffAccepted', ...ofHandoff },
      said('AGENT', 'HUMAN_AGENT'),
      { __typename: 'HandoffEnded', ...ofHandoff },
      said('USER', 'END_USER'),
      said('AGENT', 'AI_AGENT'),
      { __typename: 'MessageCompleted' },
    ]);
  });

  test('silences the AI agent at once: the text so far is kept and nothing of it comes after', async () => {
    const conversationId = await newConversation({ agentId: scriptedAgentId });
    await command(server, sendMessage, { conversationId, content: { text: 'I want a human!' } });
    const script = await scripted.replyTo('I want a human!');
    await script.begin('Let me try to');
    const started = await command(server, startHandoff, { conversationId });
    expect(started.conversation).toMatchObject({ status: 'HANDED_OFF', runningReply: null });
    await script.aborted;
    await script.write(' help you myself.');
    await command(server, sendMessage, { conversationId, content: { text: 'Finally.' } });
    expect((await read(conversationId)).messages.nodes).toMatchObject([
      { text: 'I want a human!' },
      { text: 'Let me try to', status: 'STOPPED' },
      { text: 'Finally.' },
    ]);
  });

  test('is not undercut: an AI agent cannot be made to reply, nor a second handoff be started', async () => {
    const conversationId = await newConversation();
    const sent = await command(server, sendMessage, { conversationId, content: { text: 'Hi.' }, awaitReply: true });
    const started = await command(server, startHandoff, { conversationId });
    const attempts: [string, Record<string, unknown>][] = [
      [sendControl, { conversationId, action: 'GENERATE_REPLY' }],
      [regenerateReply, { replyId: replyIdOf(sent) }],
      [startHandoff, { conversationId, reason: 'again' }],
    ];
    for (const [document, input] of attempts) {
      const refused = await command(server, document, input);
      expect(refused).toMatchObject({
        __typename: 'HandedOffError',
        conversation: { status: 'HANDED_OFF', version: started.conversation.version },
        handoff: { id: started.handoff.id, status: 'WAITING' },
      });
    }
    const note = await command(server, sendControl, { conversationId, content: { text: 'A note for later.' } });
    expect(note.__typename).toBe('SendControlPayload');
  });

  test('is accepted by one human; again by the same changes nothing, by another is refused', async () => {
    const conversationId = await newConversation();
    await command(server, startHandoff, { conversationId });
    const accepted = await command(server, acceptHandoff, { conversationId, assignee: 'Grace' });
    expect(await command(server, acceptHandoff, { conversationId, assignee: 'Grace' })).toEqual(accepted);
    const late = await command(server, acceptHandoff, { conversationId, assignee: 'Alan' });
    expect(late).toMatchObject({ __typename: 'HandedOffError', handoff: { assignee: 'Grace', status: 'ACCEPTED' } });
  });

  test('that a human starts is accepted from the beginning', async () => {
    const conversationId = await newConversation();
    const started = await command(server, startHandoff, { conversationId, assignee: 'Grace' });
    expect(started.handoff).toMatchObject({ status: 'ACCEPTED', assignee: 'Grace', acceptedAt: expect.any(String) });
  });

  test.each([
    ['ending', endHandoff, {}],
    ['accepting', acceptHandoff, { assignee: 'Grace' }],
  ])('that is not on makes %s it an error, before the first and after the last', async (_name, document, input) => {
    const conversationId = await newConversation();
    const refused = { __typename: 'NotHandedOffError', detail: expect.any(String), conversation: { status: 'ACTIVE' } };
    expect(await command(server, document, { conversationId, ...input })).toMatchObject(refused);
    await command(server, startHandoff, { conversationId });
    const back = await command(server, endHandoff, { conversationId });
    expect(await command(server, document, { conversationId, ...input })).toMatchObject(refused);
    expect((await read(conversationId)).version).toBe(back.conversation.version);
  });

  test('can be one of several, which are listed oldest first', async () => {
    const conversationId = await newConversation();
    for (const reason of ['first', 'second']) {
      await command(server, startHandoff, { conversationId, reason });
      await command(server, endHandoff, { conversationId });
    }
    await command(server, startHandoff, { conversationId, reason: 'third' });
    expect(await read(conversationId)).toMatchObject({
      handoff: { reason: 'third', status: 'WAITING' },
      handoffs: {
        nodes: [
          { reason: 'first', status: 'ENDED' },
          { reason: 'second', status: 'ENDED' },
          { reason: 'third', status: 'WAITING' },
        ],
      },
    });
  });
});

describe('a request', () => {
  const text = 'x'.repeat(1024 * 1024);

  test('may be nearly 10 MB large', async () => {
    const conversationId = await newConversation();
    const count = 9;
    const names = Array.from({ length: count }, (_, i) => `m${i}`);
    const document = `mutation (${names.map((name) => `$${name}: SendMessageInput!`).join(' ')}) {
      ${names.map((name) => `${name}: sendMessage(input: $${name}) { __typename }`).join(' ')}
    }`;
    const input = { conversationId, content: { text }, action: 'NONE' };
    const result = await graphql(server, document, Object.fromEntries(names.map((name) => [name, input])));
    expect(result).toEqual({
      status: 200,
      data: Object.fromEntries(names.map((name) => [name, { __typename: 'SendMessagePayload' }])),
    });
    const counted = await ask(server, 'query ($id: ID!) { conversation(id: $id) { messageCount } }', {
      id: conversationId,
    });
    expect(counted).toEqual({ conversation: { messageCount: count } });
  });

  test('that is larger is refused as too large, and the server goes on', async () => {
    const conversationId = await newConversation();
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${server.key}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({
        query: sendMessage,
        variables: { input: { conversationId, content: { text: text.repeat(11) } } },
      }),
    });
    expect(response.status).toBe(413);
    expect(await transcript(conversationId)).toEqual([]);
  });

  test('with a message of more than 1 MiB is refused with the path of the fault', async () => {
    const conversationId = await newConversation();
    const refused = await command(server, sendMessage, { conversationId, content: { text: `${text}!` } });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['content', 'text'] }] });
  });
});

describe('the messages of a conversation', () => {
  test('are read by a limit and a cursor, from either end', async () => {
    const conversationId = await newConversation();
    for (const text of ['1', '2', '3', '4', '5']) {
      await command(server, sendMessage, { conversationId, content: { text }, action: 'NONE' });
    }
    interface Page {
      nodes: { text: string }[];
      pageInfo: { startCursor: string; endCursor: string; hasNextPage: boolean; hasPreviousPage: boolean };
    }
    const page = async (args: string): Promise<Page> => {
      const query = `query ($id: ID!) {
        conversation(id: $id) {
          messages(${args}) { nodes { text } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } }
        }
      }`;
      const data = await ask<{ conversation: { messages: Page } }>(server, query, { id: conversationId });
      return data.conversation.messages;
    };
    const texts = ({ nodes }: Page) => nodes.map(({ text }) => text).join('');

    const oldest = await page('first: 2');
    const next = await page(`first: 100, after: "${oldest.pageInfo.endCursor}"`);
    expect([texts(oldest), oldest.pageInfo.hasNextPage]).toEqual(['12', true]);
    expect([texts(next), next.pageInfo.hasNextPage]).toEqual(['345', false]);

    const newest = await page('last: 2');
    const earlier = await page(`last: 100, before: "${newest.pageInfo.startCursor}"`);
    expect([texts(newest), newest.pageInfo.hasPreviousPage]).toEqual(['45', true]);
    expect([texts(earlier), earlier.pageInfo.hasPreviousPage]).toEqual(['123', false]);
  });
});
