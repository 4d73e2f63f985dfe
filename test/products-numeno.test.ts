import { beforeAll, describe, expect, test } from 'vitest';
import { ask, graphql, subscribeWs } from './harness/client.ts';
import { playbook } from './harness/playbooks.ts';
import { addAgent, addTenant, command, ImmediateRuntime, type Outcome, replyIdOf } from './harness/products.ts';
import { record } from './harness/recording.ts';
import { ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of Numeno rely on, and what it is in Parley:
 *
 * a conversation with a name                  createConversation(action: NONE, title)
 * a message of role user with generate-reply  sendMessage
 * a message of role user without an action    sendMessage(action: NONE)
 * a message of role agent                     addAgentMessage
 * a message of role control                   sendControl; with action: GENERATE_REPLY the agent speaks
 * stateAfter                                  stateAfter in each of them; changeState without a message
 * the call blocks until the reply is there    awaitReply: true
 * 409 while a reply is being generated        ConversationBusyError
 * 400                                         InvalidInputError; BAD_USER_INPUT for what the schema does not allow
 * 401                                         UNAUTHENTICATED
 * 404                                         null in a query, NotFoundError in a mutation
 * messages cannot be modified or deleted      there is no such mutation; deleteConversation takes them all
 */

const scripted = new ScriptedRuntime();
const immediate = new ImmediateRuntime('immediate');
const server = useServer({ runtimes: [scripted, immediate] });
let agentId: string;
let scriptedAgentId: string;

beforeAll(async () => {
  const playbooks = [
    playbook('neutral'),
    playbook('podcast-finder', 'greet'),
    playbook('finder', 'greet', 'search', 'refine-topic', 're-engage', 'done'),
  ];
  agentId = await addAgent(server.services, { runtime: 'immediate', name: 'Nell', playbooks });
  scriptedAgentId = await addAgent(server.services, { runtime: 'scripted' });
});

const state = 'playbook phase systemMessage context';
const conversation = `id title status version messageCount runningReply { id } lastMessage { id } state { ${state} }`;
const message = `id role status text metadata author { kind displayName } inReplyTo { id } stateAfter { ${state} }`;
const failure =
  '... on UserError { detail } ... on NotFoundError { path } ... on InvalidInputError { issues { path detail } }';
const busy = `... on ConversationBusyError { currentVersion runningReply { id } conversation { ${conversation} } }`;

const createConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    __typename ${failure}
    ... on CreateConversationPayload { cursor conversation { ${conversation} } message { ${message} } }
  }
}`;
const sendMessage = `mutation ($input: SendMessageInput!) {
  result: sendMessage(input: $input) {
    __typename ${failure} ${busy}
    ... on SendMessagePayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const sendControl = `mutation ($input: SendControlInput!) {
  result: sendControl(input: $input) {
    __typename ${failure} ${busy}
    ... on SendControlPayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const addAgentMessage = `mutation ($input: AddAgentMessageInput!) {
  result: addAgentMessage(input: $input) {
    __typename ${failure} ${busy}
    ... on AddAgentMessagePayload { cursor conversation { ${conversation} } message { ${message} } }
  }
}`;
const changeState = `mutation ($input: ChangeStateInput!) {
  result: changeState(input: $input) {
    __typename ${failure} ${busy}
    ... on ChangeStatePayload { cursor conversation { ${conversation} } }
  }
}`;
const deleteConversation = `mutation ($input: DeleteConversationInput!) {
  result: deleteConversation(input: $input) {
    __typename ${failure}
    ... on DeleteConversationPayload { deletedConversationId }
  }
}`;

/** A conversation in which nothing has been said. */
async function newConversation(input: Record<string, unknown> = {}): Promise<string> {
  const created = await command(server, createConversation, { agentId, action: 'NONE', ...input });
  return created.conversation.id;
}

/** A conversation whose reply runs until the test ends it. */
async function busyConversation(
  question: string,
): Promise<{ conversationId: string; replyId: string; version: number }> {
  const conversationId = await newConversation({ agentId: scriptedAgentId });
  const sent = await command(server, sendMessage, { conversationId, content: { text: question } });
  return { conversationId, replyId: replyIdOf(sent), version: sent.conversation.version };
}

interface Read {
  conversation: { messages: { nodes: { id: string; role: string; text: string }[] } } | null;
}

/** As a caller reads it who asks for the messages of these roles. */
function read(id: string, roles?: readonly string[]): Promise<Read> {
  const query = `query ($id: ID!, $roles: [MessageRole!]) {
    conversation(id: $id) { ${conversation} messages(roles: $roles) { nodes { ${message} } } }
  }`;
  return ask<Read>(server, query, { id, ...(roles && { roles }) });
}

function follow(conversationId: string, after: string) {
  const document = `subscription ($conversationId: ID!, $after: EventCursor!) {
    conversationEvents(conversationId: $conversationId, after: $after) { __typename conversationId }
  }`;
  return subscribeWs<{ conversationEvents: { __typename: string } }>(server, document, { conversationId, after });
}

async function transcript(id: string, roles?: readonly string[]): Promise<string[]> {
  const { conversation: found } = await read(id, roles);
  return found?.messages.nodes.map(({ role, text }) => `${role}: ${text}`) ?? [];
}

describe('a conversation', () => {
  test('is created by a name that need not be unique, and nobody speaks in it yet', async () => {
    const input = { agentId, action: 'NONE', title: 'Finding a podcast' };
    const [first, second] = [
      await command(server, createConversation, input),
      await command(server, createConversation, input),
    ];
    expect(first.conversation).toMatchObject({
      title: 'Finding a podcast',
      status: 'ACTIVE',
      messageCount: 0,
      runningReply: null,
      lastMessage: null,
      state: { playbook: null, phase: null, systemMessage: null, context: null },
    });
    expect(first.message).toBeNull();
    expect(second.conversation.id).not.toBe(first.conversation.id);
  });

  test('is opened by the agent when a control message has it speak, in the state that the message sets', async () => {
    const conversationId = await newConversation();
    const stateAfter = {
      playbook: 'podcast-finder',
      phase: 'greet',
      systemMessage: 'Be brief.',
      context: [{ feed: 'feed-1' }, 'Likes astronomy.'],
    };
    const opened = await command(server, sendControl, {
      conversationId,
      stateAfter,
      action: 'GENERATE_REPLY',
      awaitReply: true,
    });
    expect(opened.message).toMatchObject({ role: 'CONTROL', status: 'DONE', text: '', stateAfter });
    expect(opened.reply).toMatchObject({ role: 'AGENT', status: 'DONE', inReplyTo: null, text: /./ });
    expect(opened.conversation).toMatchObject({ state: stateAfter, runningReply: null });
    expect(immediate.lastTurn.state).toEqual(stateAfter);
    expect(immediate.lastTurn.history.filter(({ role }) => role !== 'CONTROL')).toEqual([]);
  });

  test('can begin in a given state', async () => {
    const created = await command(server, createConversation, {
      agentId,
      action: 'NONE',
      state: { playbook: 'neutral', context: { city: 'Turin' } },
    });
    expect(created.conversation).toMatchObject({
      version: 1,
      state: { playbook: 'neutral', phase: null, systemMessage: null, context: { city: 'Turin' } },
    });
  });
});

describe('a message of the role user', () => {
  test('with generate-reply blocks the call until the reply is there', async () => {
    const conversationId = await newConversation({ agentId: scriptedAgentId });
    let returned = false;
    const sending = command(server, sendMessage, {
      conversationId,
      content: { text: 'Which podcast is about comets?' },
      awaitReply: true,
    }).finally(() => (returned = true));
    const script = await scripted.replyTo('Which podcast is about comets?');
    await script.begin('Tail', ' talk.');
    // Another request that comes back means that the first one could have.
    await read(conversationId);
    expect(returned).toBe(false);
    await script.end();
    const sent = await sending;
    expect(sent).toMatchObject({
      __typename: 'SendMessagePayload',
      conversation: { runningReply: null, messageCount: 2 },
      message: { role: 'USER', status: 'DONE', text: 'Which podcast is about comets?', author: { kind: 'END_USER' } },
      reply: {
        role: 'AGENT',
        status: 'DONE',
        text: 'Tail talk.',
        author: { kind: 'AI_AGENT' },
        inReplyTo: { id: sent.message.id },
      },
    });
  });

  test('without an action is kept, and answered only when a reply is asked for', async () => {
    const conversationId = await newConversation();
    const noted = await command(server, sendMessage, {
      conversationId,
      content: { text: 'I speak Italian.' },
      action: 'NONE',
    });
    expect(noted).toMatchObject({ reply: null, conversation: { messageCount: 1, runningReply: null } });
    await command(server, sendControl, { conversationId, action: 'GENERATE_REPLY', awaitReply: true });
    expect(immediate.lastTurn.history.map(({ role, text }) => [role, text])).toContainEqual([
      'USER',
      'I speak Italian.',
    ]);
    expect(await transcript(conversationId, ['USER', 'AGENT'])).toEqual([
      'USER: I speak Italian.',
      expect.stringMatching(/^AGENT: ./),
    ]);
  });
});

describe('a message of the role agent', () => {
  test("puts words into the agent's mouth that were written elsewhere, and starts nothing", async () => {
    const conversationId = await newConversation();
    const added = await command(server, addAgentMessage, { conversationId, content: { text: 'Welcome back!' } });
    expect(added).toMatchObject({
      __typename: 'AddAgentMessagePayload',
      conversation: { messageCount: 1, runningReply: null, lastMessage: { id: added.message.id } },
      message: { role: 'AGENT', status: 'DONE', author: { kind: 'AI_AGENT', displayName: 'Nell' }, inReplyTo: null },
    });
    await command(server, sendMessage, { conversationId, content: { text: 'Thanks!' }, awaitReply: true });
    expect(immediate.lastTurn.history.map(({ role, text }) => [role, text])).toEqual([
      ['AGENT', 'Welcome back!'],
      ['USER', 'Thanks!'],
    ]);
  });
});

describe('a message of the role control', () => {
  test('is seen by the agent and by operators, and by nobody else', async () => {
    const conversationId = await newConversation({ title: 'Hidden' });
    const secret = 'The customer is a vexillologist.';
    const hidden = await command(server, sendControl, {
      conversationId,
      content: { text: secret },
      metadata: { by: 'crm' },
    });
    expect(hidden).toMatchObject({
      message: { role: 'CONTROL', status: 'DONE', text: secret, author: { kind: 'SYSTEM' }, metadata: { by: 'crm' } },
      reply: null,
      conversation: { messageCount: 0, lastMessage: null, runningReply: null },
    });
    expect(await transcript(conversationId, ['CONTROL'])).toEqual([`CONTROL: ${secret}`]);
    expect(await transcript(conversationId, ['USER', 'AGENT'])).toEqual([]);
    const query = 'query ($keyword: String!) { conversations(filter: { keyword: $keyword }) { nodes { id } } }';
    expect(await ask(server, query, { keyword: 'vexillologist' })).toEqual({ conversations: { nodes: [] } });

    await command(server, sendMessage, { conversationId, content: { text: 'What am I?' }, awaitReply: true });
    expect(immediate.lastTurn.history.map(({ role, text }) => [role, text])).toEqual([
      ['CONTROL', secret],
      ['USER', 'What am I?'],
    ]);
  });

  test('can do all at once: tell the agent something, change the state and force a reply', async () => {
    const conversationId = await newConversation({ state: { playbook: 'finder' } });
    const forced = await command(server, sendControl, {
      conversationId,
      content: { text: 'The user has gone quiet.' },
      stateAfter: { phase: 're-engage' },
      action: 'GENERATE_REPLY',
      awaitReply: true,
    });
    expect(forced).toMatchObject({
      message: { text: 'The user has gone quiet.', stateAfter: { phase: 're-engage' } },
      reply: { status: 'DONE', inReplyTo: null },
    });
    expect(immediate.lastTurn).toMatchObject({
      state: { phase: 're-engage' },
      history: [{ role: 'CONTROL', text: 'The user has gone quiet.' }],
    });
  });

  test('that would do nothing is refused', async () => {
    const conversationId = await newConversation();
    const refused = await command(server, sendControl, { conversationId });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: [] }] });
    expect(await transcript(conversationId)).toEqual([]);
  });
});

describe('stateAfter', () => {
  const before = {
    playbook: 'finder',
    phase: 'search',
    systemMessage: 'Be kind.',
    context: { topic: 'comets', depth: 2 },
  };

  const ways: [string, string, Record<string, unknown>][] = [
    ['sendMessage', sendMessage, { content: { text: 'Next.' }, action: 'NONE' }],
    ['sendControl', sendControl, {}],
    ['addAgentMessage', addAgentMessage, { content: { text: 'Next.' } }],
    ['changeState', changeState, {}],
  ];

  test.each(ways)(
    'of %s leaves unchanged what it leaves out and clears what is null',
    async (_name, document, input) => {
      const conversationId = await newConversation({ state: before });
      const changed = await command(server, document, {
        conversationId,
        ...input,
        stateAfter: { phase: 'refine-topic', systemMessage: null },
      });
      const after = { ...before, phase: 'refine-topic', systemMessage: null };
      expect(changed.conversation).toMatchObject({ state: after });
      if (document !== changeState) expect(changed.message).toMatchObject({ stateAfter: after });

      const cleared = await command(server, document, {
        conversationId,
        ...input,
        stateAfter: { playbook: null, phase: null, context: null },
      });
      const nothing = { playbook: null, phase: null, systemMessage: null, context: null };
      expect(cleared.conversation).toMatchObject({ state: nothing });
    },
  );

  test.each([
    ['a list of resources', ['feed-1', { stream: 'stream-2' }]],
    ['plain text', 'The user is in Lisbon.'],
    ['an object', { topic: 'moons' }],
    ['false', false],
  ])('takes %s as the context and replaces the old one as a whole', async (_name, context) => {
    const conversationId = await newConversation({ state: before });
    const changed = await command(server, changeState, { conversationId, stateAfter: { context } });
    expect(changed.conversation).toMatchObject({ state: { ...before, context } });
  });

  test('steers the very reply that its message asks for', async () => {
    const conversationId = await newConversation({ state: before });
    await command(server, sendMessage, {
      conversationId,
      content: { text: 'Go deeper.' },
      stateAfter: { systemMessage: 'Go deep.' },
      awaitReply: true,
    });
    expect(immediate.lastTurn.state).toEqual({ ...before, systemMessage: 'Go deep.' });
  });

  test('is told only of a message that changed the state', async () => {
    const conversationId = await newConversation({ state: before });
    const input = { conversationId, content: { text: 'As it was.' }, action: 'NONE' };
    expect((await command(server, sendMessage, input)).message).toMatchObject({ stateAfter: null });
    const same = await command(server, sendMessage, { ...input, stateAfter: before });
    expect(same.message).toMatchObject({ stateAfter: null });
    expect(same.conversation).toMatchObject({ version: 3, state: before });
  });

  test('without a message adds none, and changes nothing when all is so already', async () => {
    const conversationId = await newConversation({ state: before });
    const changed = await command(server, changeState, { conversationId, stateAfter: { phase: 'done' } });
    expect(changed.conversation).toMatchObject({ version: 2, state: { phase: 'done' }, messageCount: 0 });
    const again = await command(server, changeState, { conversationId, stateAfter: { phase: 'done' } });
    expect(again).toMatchObject({ __typename: 'ChangeStatePayload', conversation: { version: 2 } });
    expect(await transcript(conversationId)).toEqual([]);
  });

  test('is told to followers, as it was and as it is', async () => {
    const created = await command(server, createConversation, { agentId, action: 'NONE', state: before });
    const conversationId = created.conversation.id;
    const document = `subscription ($conversationId: ID!, $after: EventCursor!) {
      conversationEvents(conversationId: $conversationId, after: $after) {
        __typename
        ... on VersionedEvent { version }
        ... on StateChanged { before { ${state} } after { ${state} } }
      }
    }`;
    const events = record(subscribeWs(server, document, { conversationId, after: created.cursor }));
    await command(server, sendControl, { conversationId, stateAfter: { phase: null, context: { topic: 'moons' } } });
    await events.until((seen) => seen.length >= 2);
    await events.leave();
    const after = { ...before, phase: null, context: { topic: 'moons' } };
    expect(events.events).toEqual([
      { conversationEvents: { __typename: 'MessageCreated', version: 2 } },
      { conversationEvents: { __typename: 'StateChanged', version: 3, before, after } },
    ]);
  });

  test('that cannot be stored is refused with each fault named', async () => {
    const conversationId = await newConversation({ state: before });
    const refused = await command(server, changeState, {
      conversationId,
      stateAfter: { phase: 'a\0b', systemMessage: 'x'.repeat(64 * 1024 + 1), context: { deep: ['fine', '\ud800'] } },
    });
    expect(refused.__typename).toBe('InvalidInputError');
    expect(refused.issues.map(({ path }) => path)).toEqual([
      ['stateAfter', 'phase'],
      ['stateAfter', 'systemMessage'],
      ['stateAfter', 'context', 'deep', '1'],
    ]);
    expect(await read(conversationId)).toMatchObject({ conversation: { version: 1, state: before } });
  });
});

describe('while a reply is being generated', () => {
  const writes: [string, string, Record<string, unknown>][] = [
    ['a user message', sendMessage, { content: { text: 'And?' } }],
    ['a user message without an action', sendMessage, { content: { text: 'And?' }, action: 'NONE' }],
    ['a control message', sendControl, { content: { text: 'Hurry.' } }],
    ['a control message that forces a reply', sendControl, { action: 'GENERATE_REPLY' }],
    ['an agent message', addAgentMessage, { content: { text: 'Meanwhile …' } }],
    ['a change of the state', changeState, { stateAfter: { phase: 'hurry' } }],
  ];

  test.each(writes)(
    '%s conflicts: it is not written, and the reply in its way is named',
    async (name, document, input) => {
      const question = `Wait for me, ${name}.`;
      const { conversationId, replyId, version } = await busyConversation(question);
      const script = await scripted.replyTo(question);
      await script.begin('One moment');

      expect(await command(server, document, { conversationId, ...input })).toMatchObject({
        __typename: 'ConversationBusyError',
        currentVersion: version,
        runningReply: { id: replyId },
        conversation: { version, messageCount: 2, state: { phase: null } },
      });
      await script.end();
    },
  );

  test('the conversation can be read, and is free again as soon as the reply has ended', async () => {
    const { conversationId, replyId } = await busyConversation('Are you free?');
    const script = await scripted.replyTo('Are you free?');
    expect(await read(conversationId)).toMatchObject({ conversation: { runningReply: { id: replyId } } });

    const ended = record(
      subscribeWs(server, 'subscription ($replyId: ID!) { replyEvents(replyId: $replyId) { __typename } }', {
        replyId,
      }),
    );
    await script.begin('Now I am.');
    await script.end();
    await ended.ended();
    const next = await command(server, sendMessage, { conversationId, content: { text: 'Good.' }, action: 'NONE' });
    expect(next.__typename).toBe('SendMessagePayload');
    expect(await transcript(conversationId)).toEqual(['USER: Are you free?', 'AGENT: Now I am.', 'USER: Good.']);
  });
});

describe('messages', () => {
  test('are read in their order, each with its role, also one by one', async () => {
    const conversationId = await newConversation();
    await command(server, sendControl, { conversationId, content: { text: 'One.' } });
    const second = await command(server, addAgentMessage, { conversationId, content: { text: 'Two.' } });
    await command(server, sendMessage, { conversationId, content: { text: 'Three.' }, action: 'NONE' });
    expect(await transcript(conversationId)).toEqual(['CONTROL: One.', 'AGENT: Two.', 'USER: Three.']);
    expect(
      await ask(server, `query ($id: ID!) { message(id: $id) { ${message} } }`, { id: second.message.id }),
    ).toEqual({
      message: second.message,
    });
  });

  test('cannot be modified or deleted: no mutation names a message but to stop, regenerate, rate or answer it', async () => {
    interface Introspection {
      __schema: { mutationType: { fields: { name: string; args: { type: { ofType: InputType } }[] }[] } };
    }
    interface InputType {
      inputFields: { name: string }[];
    }
    const { __schema } = await ask<Introspection>(
      server,
      '{ __schema { mutationType { fields { name args { type { ofType { inputFields { name } } } } } } } }',
    );
    const naming = __schema.mutationType.fields.flatMap(({ name, args }) =>
      args
        .flatMap(({ type }) => type.ofType.inputFields)
        .filter((field) => /^(id|.*(message|reply).*ids?)$/i.test(field.name))
        .map((field) => `${name}.${field.name}`),
    );
    expect(naming.sort()).toEqual([
      'addAgentMessage.inReplyToId',
      'rateReply.replyId',
      'regenerateReply.replyId',
      'stopReply.replyId',
    ]);
  });

  test('stay as they are, whatever happens in the conversation later', async () => {
    const conversationId = await newConversation({ state: { playbook: 'finder', phase: 'greet' } });
    const first = await command(server, sendMessage, {
      conversationId,
      content: { text: 'Keep me.' },
      stateAfter: { phase: 'search' },
      metadata: { page: 1 },
      awaitReply: true,
    });
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { ${message} } } }`;
    const ids = [first.message.id, replyIdOf(first)];
    const kept = await ask(server, query, { ids });
    expect(kept).toMatchObject({ nodes: [{ text: 'Keep me.' }, { status: 'DONE' }] });

    await command(server, changeState, { conversationId, stateAfter: { phase: null } });
    await command(server, sendMessage, { conversationId, content: { text: 'More.' }, awaitReply: true });
    await ask(server, 'mutation ($replyId: ID!) { stopReply(input: { replyId: $replyId }) { __typename } }', {
      replyId: ids[1],
    });
    const end = 'mutation ($id: ID!) { endConversation(input: { conversationId: $id }) { __typename } }';
    await ask(server, end, { id: conversationId });
    expect(await ask(server, query, { ids })).toEqual(kept);
  });

  test('go when the whole conversation is deleted', async () => {
    const conversationId = await newConversation();
    const sent = await command(server, sendMessage, {
      conversationId,
      content: { text: 'Forget me.' },
      awaitReply: true,
    });
    expect(await command(server, deleteConversation, { conversationId })).toEqual({
      __typename: 'DeleteConversationPayload',
      deletedConversationId: conversationId,
    });
    const query = `query ($id: ID!, $ids: [ID!]!) { conversation(id: $id) { id } nodes(ids: $ids) { id } }`;
    expect(await ask(server, query, { id: conversationId, ids: [sent.message.id, replyIdOf(sent)] })).toEqual({
      conversation: null,
      nodes: [null, null],
    });
    const again = await command(server, deleteConversation, { conversationId });
    expect(again).toMatchObject({ __typename: 'NotFoundError', path: ['conversationId'] });
  });

  test('that are deleted with their conversation end the stream of whoever follows it', async () => {
    const { conversation: created, cursor } = await command(server, createConversation, { agentId, action: 'NONE' });
    const conversationId = created.id;
    const events = record(follow(conversationId, cursor));
    await command(server, sendControl, { conversationId, content: { text: 'Are you there?' } });
    await events.until((seen) => seen.length === 1);
    await command(server, deleteConversation, { conversationId });
    expect((await events.ended()).map((event) => event.conversationEvents.__typename)).toEqual([
      'MessageCreated',
      'ConversationDeleted',
    ]);
  });

  test.each([
    ['after a message', 'NONE'],
    ['within a reply', 'GENERATE_REPLY'],
  ])('that were deleted are told of as deleted to whoever resumes from a place %s', async (_name, action) => {
    const conversationId = await newConversation();
    const content = { text: 'Gone when you come back.' };
    const sent = await command(server, sendMessage, { conversationId, content, action, awaitReply: true });
    await command(server, deleteConversation, { conversationId });
    const events = record(follow(conversationId, sent.cursor));
    expect(await events.ended()).toEqual([
      { conversationEvents: { __typename: 'ConversationDeleted', conversationId } },
    ]);
  });

  test('that are being generated do not keep the conversation from being deleted', async () => {
    const { conversationId, replyId } = await busyConversation('Delete me now.');
    const script = await scripted.replyTo('Delete me now.');
    await script.begin('But I am');
    const deleted = await command(server, deleteConversation, { conversationId });
    expect(deleted.__typename).toBe('DeleteConversationPayload');
    await script.aborted;
    expect(await ask(server, 'query ($id: ID!) { node(id: $id) { id } }', { id: replyId })).toEqual({ node: null });
  });
});

describe('a request that cannot be served', () => {
  test.each([
    ['no key', null],
    ['an unknown key', 'no-such-key-anywhere'],
  ])('with %s is 401', async (_name, key) => {
    const result = await graphql(server, '{ conversations { nodes { id } } }', {}, { key });
    expect(result).toMatchObject({ status: 401, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    expect(result.data ?? null).toBeNull();
  });

  test.each([
    ['a syntax error', '{ conversations {', {}],
    ['an unknown field', '{ conversations { nodes { secret } } }', {}],
    ['an unknown role', '{ conversations { nodes { messages(roles: [ROBOT]) { nodes { id } } } } }', {}],
    ['content that is missing', sendMessage, { input: { conversationId: 'conv_x' } }],
    [
      'two kinds of content',
      sendMessage,
      { input: { conversationId: 'conv_x', content: { text: '', fragments: [] } } },
    ],
    [
      'an unknown action',
      sendMessage,
      { input: { conversationId: 'conv_x', content: { text: 'x' }, action: 'REPLY' } },
    ],
  ])('because of %s is 400', async (_name, query, variables) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${server.key}`,
        'Content-Type': 'application/json',
        // The media type of GraphQL in which faults of a request are faults of HTTP too.
        Accept: 'application/graphql-response+json',
      },
      body: JSON.stringify({ query, variables }),
    });
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    expect(response.status).toBe(400);
  });

  test('because of unacceptable values names each of them, and writes nothing', async () => {
    const conversationId = await newConversation();
    const refused = await command(server, sendMessage, {
      conversationId,
      content: { text: '' },
      metadata: { note: 'x'.repeat(64 * 1024) },
      idempotencyKey: '',
    });
    expect(refused.__typename).toBe('InvalidInputError');
    expect(refused.issues.map(({ path }) => path).sort()).toEqual([
      ['content', 'text'],
      ['idempotencyKey'],
      ['metadata'],
    ]);
    expect(await read(conversationId)).toMatchObject({ conversation: { version: 1, messages: { nodes: [] } } });
  });

  const ids: [string, () => Promise<string>][] = [
    ['unknown', () => Promise.resolve('conv_00000000000000000000000000')],
    ['malformed', () => Promise.resolve('conv_nonsense')],
    ['of another type', () => Promise.resolve(agentId)],
    ['of another organization', foreignConversation],
  ];

  test.each(ids)(
    "because the conversation's id is %s finds nothing, in a query and in each mutation",
    async (_name, make) => {
      const conversationId = await make();
      expect(await read(conversationId)).toEqual({ conversation: null });
      const mutations: [string, Record<string, unknown>][] = [
        [sendMessage, { content: { text: 'Anyone?' } }],
        [sendControl, { content: { text: 'Anyone?' } }],
        [addAgentMessage, { content: { text: 'Anyone?' } }],
        [changeState, { stateAfter: { phase: 'lost' } }],
        [deleteConversation, {}],
      ];
      for (const [document, input] of mutations) {
        const outcome: Outcome = await command(server, document, { conversationId, ...input });
        expect(outcome).toMatchObject({ __typename: 'NotFoundError', path: ['conversationId'] });
      }
    },
  );

  async function foreignConversation(): Promise<string> {
    const tenant = await addTenant(server, 'immediate');
    const created = await command(tenant, createConversation, { action: 'NONE' });
    return created.conversation.id;
  }
});
