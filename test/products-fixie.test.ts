import { beforeAll, describe, expect, test } from 'vitest';
import { ask, subscribeWs } from './harness/client.ts';
import {
  addAgent,
  addCorpus,
  addTenant,
  command,
  ImmediateRuntime,
  type Outcome,
  replyIdOf,
  rowId,
} from './harness/products.ts';
import { record } from './harness/recording.ts';
import { type Script, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of Fixie rely on, and what it is in Parley:
 *
 * start a conversation, with a message or without    createConversation; without one the agent speaks first
 * generateInitialMessage: false                      action: NONE and no message
 * metadata of the start                              metadata of the first message
 * systemPrompt, corpusId, runtimeParameters          the same, of createConversation
 * runtimeParameters of a message                     runtimeParameters of sendMessage and regenerateReply
 * turn; its role user or assistant; timestamp        Message; USER or AGENT; createdAt
 * messages of a turn: text, functionCall,            fragments: TextFragment, FunctionCallFragment,
 *   functionResponse; their state                      FunctionResponseFragment; their status
 * state in-progress, done, stopped, error            status IN_PROGRESS, DONE, STOPPED, ERROR
 * errorDetail, inReplyToId                           errorDetail, inReplyTo
 * a stream of the latest value of the turn           replyEvents
 * stop a message, regenerate a message               stopReply, regenerateReply
 * 409 while a message is generated                   ConversationBusyError
 */

const tunableSchema = {
  type: 'object',
  properties: {
    temperature: { type: 'number', minimum: 0, maximum: 2 },
    stop: { type: 'array', items: { type: 'string' } },
    model: { type: 'object', properties: { name: { enum: ['small', 'large'] } }, required: ['name'] },
  },
  additionalProperties: false,
};

const scripted = new ScriptedRuntime();
const tunable = new ImmediateRuntime('tunable', tunableSchema);
const server = useServer({ runtimes: [scripted, tunable] });
let scriptedAgentId: string;
let agentId: string;

beforeAll(async () => {
  scriptedAgentId = await addAgent(server.services, { runtime: 'scripted' });
  agentId = await addAgent(server.services, {
    runtime: 'tunable',
    systemPrompt: 'You are a fox.',
    defaultRuntimeParameters: { temperature: 1, model: { name: 'small' } },
  });
});

const fragment = `__typename id index status metadata
  ... on TextFragment { text }
  ... on FunctionCallFragment { name args }
  ... on FunctionResponseFragment { name callId response failed }`;
const message = `id role status text metadata errorDetail runtimeParameters createdAt completedAt
  inReplyTo { id } supersedes { id } supersededBy { id } fragments { ${fragment} }`;
const conversation = `id version systemPrompt runtimeParameters metadata corpus { id name } runningReply { id }
  messages { nodes { id } }`;
const failure =
  '... on UserError { detail } ... on NotFoundError { path } ... on InvalidInputError { issues { path detail } }';
const busy = '... on ConversationBusyError { runningReply { id } }';

const startConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    __typename ${failure}
    ... on CreateConversationPayload {
      cursor conversation { ${conversation} } message { ${message} } reply { ${message} }
    }
  }
}`;
const sendMessage = `mutation ($input: SendMessageInput!) {
  result: sendMessage(input: $input) {
    __typename ${failure} ${busy}
    ... on SendMessagePayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const stopMessage = `mutation ($input: StopReplyInput!) {
  result: stopReply(input: $input) {
    __typename ${failure}
    ... on StopReplyPayload { cursor conversation { ${conversation} } reply { ${message} } }
  }
}`;
const regenerateMessage = `mutation ($input: RegenerateReplyInput!) {
  result: regenerateReply(input: $input) {
    __typename ${failure} ${busy}
    ... on RegenerateReplyPayload { cursor conversation { ${conversation} } reply { ${message} } }
  }
}`;
const updateConversation = `mutation ($input: UpdateConversationInput!) {
  result: updateConversation(input: $input) {
    __typename ${failure}
    ... on UpdateConversationPayload { conversation { ${conversation} } }
  }
}`;
const sendControl = `mutation ($input: SendControlInput!) {
  result: sendControl(input: $input) { __typename ${failure} }
}`;

interface MessageView {
  id: string;
  status: string;
  text: string;
  fragments: { id: string; status: string; text?: string }[];
}

async function readMessage(id: string): Promise<MessageView> {
  const data = await ask<{ message: MessageView }>(server, `query ($id: ID!) { message(id: $id) { ${message} } }`, {
    id,
  });
  return data.message;
}

async function readMessages(id: string, includeSuperseded = false): Promise<string[]> {
  const data = await ask<{ conversation: { messages: { nodes: { id: string }[] } } }>(
    server,
    `query ($id: ID!, $includeSuperseded: Boolean!) {
      conversation(id: $id) { messages(includeSuperseded: $includeSuperseded) { nodes { id } } }
    }`,
    { id, includeSuperseded },
  );
  return data.conversation.messages.nodes.map((node) => node.id);
}

/** A conversation with one question; the test speaks the answer. */
async function question(
  text: string,
): Promise<{ conversationId: string; messageId: string; replyId: string; script: Script }> {
  const input = { agentId: scriptedAgentId, message: { content: { text } } };
  const started = await command(server, startConversation, input);
  return {
    conversationId: started.conversation.id,
    messageId: started.message.id,
    replyId: replyIdOf(started),
    script: await scripted.replyTo(text),
  };
}

/** Resolves when the reply has ended. */
async function ended(replyId: string): Promise<void> {
  const document = 'subscription ($replyId: ID!) { replyEvents(replyId: $replyId) { __typename } }';
  await record(subscribeWs(server, document, { replyId })).ended();
}

describe('starting a conversation', () => {
  test('with a message has it answered, and the metadata are those of the message', async () => {
    const started = await command(server, startConversation, {
      agentId,
      message: { content: { text: 'Why is the sky blue?' }, metadata: { page: '/faq', visits: 3 } },
      awaitReply: true,
    });
    expect(started).toMatchObject({
      conversation: {
        runningReply: null,
        messages: { nodes: [{ id: started.message.id }, { id: replyIdOf(started) }] },
      },
      message: {
        role: 'USER',
        status: 'DONE',
        text: 'Why is the sky blue?',
        metadata: { page: '/faq', visits: 3 },
        inReplyTo: null,
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      },
      reply: { role: 'AGENT', status: 'DONE', errorDetail: null, inReplyTo: { id: started.message.id } },
    });
    expect(started).toHaveProperty('conversation.metadata', {});
    expect(tunable.lastTurn.history).toMatchObject([{ role: 'USER', metadata: { page: '/faq', visits: 3 } }]);
  });

  test('without a message has the agent send the first one', async () => {
    const greeter = await addAgent(server.services, {
      runtime: 'knowledge',
      greeting: 'Ahoy! What are you looking for?',
    });
    const started = await command(server, startConversation, { agentId: greeter, awaitReply: true });
    expect(started).toMatchObject({
      message: null,
      reply: { role: 'AGENT', status: 'DONE', text: 'Ahoy! What are you looking for?', inReplyTo: null },
    });
  });

  test('without an initial message leaves it empty until somebody speaks', async () => {
    const started = await command(server, startConversation, { agentId, action: 'NONE' });
    expect(started).toMatchObject({
      conversation: { runningReply: null, messages: { nodes: [] } },
      message: null,
      reply: null,
    });
    const input = { conversationId: started.conversation.id, content: { text: 'Hello!' }, awaitReply: true };
    expect(await command(server, sendMessage, input)).toMatchObject({ reply: { status: 'DONE' } });
  });

  test("adds the system prompt to the agent's own, for each of its replies", async () => {
    const started = await command(server, startConversation, {
      agentId,
      action: 'NONE',
      systemPrompt: 'Speak in rhyme.',
    });
    expect(started.conversation).toMatchObject({ systemPrompt: 'Speak in rhyme.' });
    for (const text of ['One.', 'Two.']) {
      const input = { conversationId: started.conversation.id, content: { text }, awaitReply: true };
      await command(server, sendMessage, input);
      expect(tunable.lastTurn.systemPrompt).toBe('You are a fox.\n\nSpeak in rhyme.');
    }
    await command(server, startConversation, { agentId, awaitReply: true });
    expect(tunable.lastTurn.systemPrompt).toBe('You are a fox.');
  });

  test('is refused for an agent of another organization', async () => {
    const { organizationId } = await addTenant(server, 'tunable');
    const foreign = await addAgent(server.services, { runtime: 'tunable', organizationId });
    const refused = await command(server, startConversation, { agentId: foreign });
    expect(refused).toMatchObject({ __typename: 'NotFoundError', path: ['agentId'] });
  });
});

describe('the corpus', () => {
  const article = (title: string, body: string) => ({ slug: title.toLowerCase(), title, body });
  const ask = { content: { text: 'How long does shipping take?' } };

  test("of the conversation is consulted instead of the agent's own: another corpus gives another answer", async () => {
    const own = await addCorpus(server.services, [article('Shipping', 'Shipping takes two days.')]);
    const other = await addCorpus(server.services, [article('Shipping', 'Shipping takes nine weeks.')], {
      name: 'By sea',
    });
    const knowing = await addAgent(server.services, {
      runtime: 'knowledge',
      corpusId: rowId('Corpus', own),
      defaultRuntimeParameters: { wordsPerSecond: 0 },
    });
    const input = { agentId: knowing, message: ask, awaitReply: true };
    const byDefault = await command(server, startConversation, input);
    const bySea = await command(server, startConversation, { ...input, corpusId: other });
    expect(byDefault).toMatchObject({
      conversation: { corpus: null },
      reply: { text: expect.stringContaining('two days') },
    });
    expect(bySea).toMatchObject({
      conversation: { corpus: { id: other, name: 'By sea' } },
      reply: {
        text: expect.stringContaining('nine weeks'),
        fragments: [
          { __typename: 'FunctionCallFragment', name: 'queryKnowledgeBase', args: { query: ask.content.text } },
          { __typename: 'FunctionResponseFragment', name: 'queryKnowledgeBase', failed: false },
          { __typename: 'TextFragment', metadata: { citations: [{ title: 'Shipping' }] } },
        ],
      },
    });
    expect(bySea.reply?.text).not.toContain('two days');
    const later = { conversationId: bySea.conversation.id, ...ask, awaitReply: true };
    expect((await command(server, sendMessage, later)).reply?.text).toContain('nine weeks');
  });

  test.each([
    ['unknown', () => Promise.resolve('corpus_00000000000000000000000000')],
    ['of another organization', foreignCorpus],
  ])('is refused when it is %s', async (_name, corpusId) => {
    const refused = await command(server, startConversation, { agentId, corpusId: await corpusId() });
    expect(refused).toMatchObject({ __typename: 'NotFoundError', path: ['corpusId'] });
  });

  async function foreignCorpus(): Promise<string> {
    const { organizationId } = await addTenant(server, 'tunable');
    return addCorpus(server.services, [], { organizationId });
  }
});

describe('runtime parameters', () => {
  const defaults = { temperature: 1, model: { name: 'small' } };

  test('given at the start persist, a message overrides them for its reply alone, and an update replaces them', async () => {
    const given = { temperature: 0.5, stop: ['END'] };
    const started = await command(server, startConversation, { agentId, runtimeParameters: given, awaitReply: true });
    expect(started).toMatchObject({ conversation: { runtimeParameters: given } });
    expect(started.reply).toMatchObject({ runtimeParameters: { ...defaults, ...given } });

    const input = { conversationId: started.conversation.id, content: { text: 'Go on.' }, awaitReply: true };
    const parametersOf = async (more: Record<string, unknown>) => {
      const { reply } = await command(server, sendMessage, { ...input, ...more });
      expect(reply).toMatchObject({ runtimeParameters: tunable.lastTurn.parameters });
      return tunable.lastTurn.parameters;
    };
    expect(await parametersOf({})).toEqual({ ...defaults, ...given });
    expect(await parametersOf({ runtimeParameters: { temperature: 2, model: { name: 'large' } } })).toEqual({
      temperature: 2,
      stop: ['END'],
      model: { name: 'large' },
    });
    expect(await parametersOf({})).toEqual({ ...defaults, ...given });

    const replaced = { conversationId: started.conversation.id, runtimeParameters: { stop: [] } };
    expect((await command(server, updateConversation, replaced)).conversation).toMatchObject({
      runtimeParameters: { stop: [] },
    });
    expect(await parametersOf({})).toEqual({ ...defaults, stop: [] });
  });

  test('have a schema that clients can read, and defaults', async () => {
    const query = 'query ($id: ID!) { agent(id: $id) { runtime { name parametersSchema } defaultRuntimeParameters } }';
    expect(await ask(server, query, { id: agentId })).toEqual({
      agent: { runtime: { name: 'tunable', parametersSchema: tunableSchema }, defaultRuntimeParameters: defaults },
    });
  });

  const wrong = { temperature: 3, stop: ['a', 7], model: { name: 'huge' }, top: 1 };
  const faults = [
    ['runtimeParameters', 'model', 'name'],
    ['runtimeParameters', 'stop', '1'],
    ['runtimeParameters', 'temperature'],
    ['runtimeParameters', 'top'],
  ];
  const uses: [string, string, (conversation: Outcome) => Record<string, unknown>][] = [
    ['a new conversation', startConversation, () => ({ agentId })],
    ['a message', sendMessage, ({ conversation: { id } }) => ({ conversationId: id, content: { text: 'Now.' } })],
    [
      'a control message',
      sendControl,
      ({ conversation: { id } }) => ({ conversationId: id, action: 'GENERATE_REPLY' }),
    ],
    ['a reply to regenerate', regenerateMessage, (started) => ({ replyId: replyIdOf(started) })],
    ['an update', updateConversation, ({ conversation: { id } }) => ({ conversationId: id })],
  ];

  test.each(uses)(
    'of %s must match the schema; the first fault is named by its path',
    async (_name, document, inputFor) => {
      const started = await command(server, startConversation, { agentId, awaitReply: true });
      const refused = await command(server, document, { ...inputFor(started), runtimeParameters: wrong });
      expect(refused.__typename).toBe('InvalidInputError');
      expect(refused.issues).toHaveLength(1);
      expect(faults).toContainEqual(refused.issues[0]?.path);
      expect(await readMessages(started.conversation.id)).toEqual([replyIdOf(started)]);
    },
  );

  test('that lack what the schema requires are refused by name', async () => {
    const refused = await command(server, startConversation, { agentId, runtimeParameters: { model: {} } });
    expect(refused.issues).toEqual([
      { path: ['runtimeParameters', 'model'], detail: expect.stringContaining("'name'") },
    ]);
  });
});

describe('a message', () => {
  test('carries typed fragments, each with metadata, and is done at once', async () => {
    const { conversation: started } = await command(server, startConversation, { agentId, action: 'NONE' });
    const sent = await command(server, sendMessage, {
      conversationId: started.id,
      action: 'NONE',
      metadata: { from: 'import' },
      content: {
        fragments: [
          { text: { text: 'Hello! ', metadata: { lang: 'en' } } },
          { functionCall: { name: 'lookUp', args: { query: 'sky' }, metadata: { cost: 1 } } },
          { functionResponse: { name: 'lookUp', callIndex: 1, response: 'Rayleigh', metadata: { ms: 12 } } },
          { functionCall: { name: 'lookUp', args: {} } },
          { functionResponse: { name: 'lookUp', callIndex: 3, response: { reason: 'no query' }, failed: true } },
          { text: { text: 'Got it.' } },
        ],
      },
    });
    const [, first, , second] = (await readMessage(sent.message.id)).fragments;
    expect(sent.message).toMatchObject({
      role: 'USER',
      status: 'DONE',
      text: 'Hello! Got it.',
      metadata: { from: 'import' },
      fragments: [
        { __typename: 'TextFragment', index: 0, status: 'DONE', text: 'Hello! ', metadata: { lang: 'en' } },
        { __typename: 'FunctionCallFragment', index: 1, status: 'DONE', args: { query: 'sky' }, metadata: { cost: 1 } },
        { index: 2, name: 'lookUp', callId: first?.id, response: 'Rayleigh', failed: false, metadata: { ms: 12 } },
        { index: 3, name: 'lookUp', args: {}, metadata: {} },
        { index: 4, name: 'lookUp', callId: second?.id, response: { reason: 'no query' }, failed: true },
        { index: 5, text: 'Got it.' },
      ],
    });
  });

  test('whose fragments are not acceptable is refused, each fault by its path', async () => {
    const { conversation: started } = await command(server, startConversation, { agentId, action: 'NONE' });
    const refused = await command(server, sendMessage, {
      conversationId: started.id,
      content: {
        fragments: [
          { text: { text: '' } },
          { functionResponse: { name: 'lookUp', callIndex: 2 } },
          { functionCall: { name: '', args: {} } },
        ],
      },
    });
    expect(refused.__typename).toBe('InvalidInputError');
    expect(refused.issues.map(({ path }) => path.join('.'))).toEqual([
      'content.fragments.0.text.text',
      'content.fragments.1.functionResponse.callIndex',
      'content.fragments.2.functionCall.name',
    ]);
    expect(await readMessages(started.id)).toEqual([]);
  });
});

describe('a reply', () => {
  test('is in progress while it is generated, as is the fragment that is still arriving', async () => {
    const { script, replyId, messageId } = await question('What is in the garden?');
    await script.say(
      { type: 'tool-call', callId: 'a', name: 'look', args: { at: 'garden' } },
      { type: 'tool-result', callId: 'a', response: ['gnome'], failed: false },
      { type: 'text-start' },
      { type: 'text-delta', text: 'A garden' },
    );
    const begun = {
      role: 'AGENT',
      status: 'IN_PROGRESS',
      completedAt: null,
      inReplyTo: { id: messageId },
      fragments: [
        { __typename: 'FunctionCallFragment', index: 0, status: 'DONE', name: 'look', args: { at: 'garden' } },
        { __typename: 'FunctionResponseFragment', index: 1, status: 'DONE', response: ['gnome'], failed: false },
        { __typename: 'TextFragment', index: 2, status: 'IN_PROGRESS', text: 'A garden' },
      ],
    };
    await expect.poll(() => readMessage(replyId), { timeout: 10_000 }).toMatchObject(begun);

    await script.say(
      { type: 'text-delta', text: ' gnome.' },
      { type: 'text-end', metadata: { mood: 'sure' } },
      { type: 'usage', inputTokens: 7, outputTokens: 5 },
      { type: 'finish' },
    );
    await ended(replyId);
    const done = await readMessage(replyId);
    expect(done).toMatchObject({ status: 'DONE', completedAt: expect.any(String), text: 'A garden gnome.' });
    expect(done.fragments[2]).toMatchObject({ status: 'DONE', text: 'A garden gnome.', metadata: { mood: 'sure' } });
  });

  test('is streamed; each event of its text can carry the latest value of the fragment', async () => {
    const { script, replyId } = await question('Count to three.');
    interface Event {
      replyEvents: {
        __typename: string;
        offset?: number;
        text?: string;
        fragment?: { text: string };
        message?: MessageView;
      };
    }
    const document = `subscription ($replyId: ID!) {
      replyEvents(replyId: $replyId) {
        __typename
        ... on FragmentDelta { offset text fragment { text } }
        ... on MessageCompleted { message { id status text } }
      }
    }`;
    const events = record(subscribeWs<Event>(server, document, { replyId }));
    const seen = (text: string) =>
      events.until((all) => all.some(({ replyEvents }) => replyEvents.fragment?.text === text));
    await script.begin('One');
    await seen('One');
    await script.write(', two');
    await seen('One, two');
    await script.write(', three.');
    await script.end();
    const all = (await events.ended()).map(({ replyEvents }) => replyEvents);
    expect(all.at(-1)).toEqual({
      __typename: 'MessageCompleted',
      message: { id: replyId, status: 'DONE', text: 'One, two, three.' },
    });
    let text = '';
    for (const delta of all.filter(({ __typename }) => __typename === 'FragmentDelta')) {
      text = text.slice(0, delta.offset) + (delta.text ?? '');
      expect(delta.fragment).toEqual({ text });
    }
    expect(text).toBe('One, two, three.');
  });

  test('that fails keeps what was said and says what happened', async () => {
    const { script, replyId, messageId } = await question('Can you fail?');
    await script.begin('Let me ');
    script.fail(new Error('The model is at 10.0.0.7.'));
    await ended(replyId);
    const failed = await readMessage(replyId);
    expect(failed).toMatchObject({
      status: 'ERROR',
      text: 'Let me ',
      errorDetail: expect.stringMatching(/./),
      inReplyTo: { id: messageId },
      fragments: [{ status: 'IN_PROGRESS', text: 'Let me ' }],
    });
    expect(JSON.stringify(failed)).not.toContain('10.0.0.7');
  });

  test('that is being generated makes sending and regenerating conflict, and names itself', async () => {
    const { script, conversationId, replyId } = await question('Are you busy?');
    const conflict = { __typename: 'ConversationBusyError', runningReply: { id: replyId } };
    const input = { conversationId, content: { text: 'Hello?' } };
    expect(await command(server, sendMessage, input)).toMatchObject(conflict);
    expect(await command(server, regenerateMessage, { replyId })).toMatchObject(conflict);
    await script.begin('Yes.');
    await script.end();
    await ended(replyId);
    expect((await readMessages(conversationId)).length).toBe(2);
  });
});

describe('stopping a reply', () => {
  test('keeps what was said; the fragment that was arriving stays in progress for good', async () => {
    const { script, conversationId, replyId, messageId } = await question('Tell me everything.');
    await script.say(
      { type: 'text-start' },
      { type: 'text-delta', text: 'First of all, ' },
      { type: 'text-end' },
      { type: 'text-start' },
      { type: 'text-delta', text: 'there is' },
    );
    const stopped = await command(server, stopMessage, { replyId });
    expect(stopped).toMatchObject({
      __typename: 'StopReplyPayload',
      conversation: { runningReply: null },
      reply: {
        status: 'STOPPED',
        text: 'First of all, there is',
        errorDetail: null,
        completedAt: expect.any(String),
        inReplyTo: { id: messageId },
        fragments: [
          { status: 'DONE', text: 'First of all, ' },
          { status: 'IN_PROGRESS', text: 'there is' },
        ],
      },
    });
    await script.aborted;
    await script.write(' more, so much more');
    const next = { conversationId, content: { text: 'Thank you.' }, action: 'NONE' };
    expect((await command(server, sendMessage, next)).__typename).toBe('SendMessagePayload');
    expect(await readMessage(replyId)).toEqual(stopped.reply);
  });

  test('twice is harmless', async () => {
    const { script, replyId } = await question('Stop, stop!');
    await script.begin('Well');
    const once = await command(server, stopMessage, { replyId });
    const twice = await command(server, stopMessage, { replyId });
    expect(twice).toEqual(once);
  });

  test('that has already ended leaves it done', async () => {
    const started = await command(server, startConversation, { agentId, awaitReply: true });
    const stopped = await command(server, stopMessage, { replyId: replyIdOf(started) });
    expect(stopped).toMatchObject({ __typename: 'StopReplyPayload', reply: { ...started.reply, status: 'DONE' } });
    expect(stopped.conversation.version).toBe(started.conversation.version);
  });

  test('is refused for what is not a reply', async () => {
    const message = { content: { text: 'Stop me?' } };
    const started = await command(server, startConversation, { agentId, message, awaitReply: true });
    const refused = await command(server, stopMessage, { replyId: started.message.id });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['replyId'] }] });
    const unknown = await command(server, stopMessage, { replyId: 'msg_00000000000000000000000000' });
    expect(unknown).toMatchObject({ __typename: 'NotFoundError', path: ['replyId'] });
  });
});

describe('regenerating a reply', () => {
  test('puts a new one in its place; the old one stays readable, as it was', async () => {
    const message = { content: { text: 'Surprise me.' } };
    const started = await command(server, startConversation, { agentId, message, awaitReply: true });
    const old = replyIdOf(started);
    const regenerated = await command(server, regenerateMessage, { replyId: old, awaitReply: true });
    const replyId = replyIdOf(regenerated);
    expect(regenerated).toMatchObject({
      __typename: 'RegenerateReplyPayload',
      reply: { status: 'DONE', inReplyTo: { id: started.message.id }, supersedes: { id: old }, supersededBy: null },
    });
    expect(replyId).not.toBe(old);
    expect(tunable.lastTurn.history.map(({ role, text }) => [role, text])).toEqual([['USER', 'Surprise me.']]);

    const conversationId = started.conversation.id;
    expect(await readMessages(conversationId)).toEqual([started.message.id, replyId]);
    expect(await readMessages(conversationId, true)).toEqual([started.message.id, old, replyId]);
    expect(await readMessage(old)).toEqual({ ...started.reply, supersededBy: { id: replyId } });
  });

  test('takes runtime parameters for the new reply alone', async () => {
    const started = await command(server, startConversation, { agentId, awaitReply: true });
    const input = { replyId: replyIdOf(started), runtimeParameters: { temperature: 0 }, awaitReply: true };
    const regenerated = await command(server, regenerateMessage, input);
    expect(regenerated).toHaveProperty('conversation.runtimeParameters', {});
    expect(regenerated).toHaveProperty('reply.runtimeParameters', { temperature: 0, model: { name: 'small' } });
    const again = await command(server, regenerateMessage, { replyId: replyIdOf(regenerated), awaitReply: true });
    expect(again).toHaveProperty('reply.runtimeParameters', { temperature: 1, model: { name: 'small' } });
  });

  test('works for one that was stopped', async () => {
    const { script, replyId, conversationId } = await question('Say it right.');
    await script.begin('Wr');
    await command(server, stopMessage, { replyId });
    const regenerated = await command(server, regenerateMessage, { replyId });
    expect(regenerated).toMatchObject({
      reply: { status: 'IN_PROGRESS', supersedes: { id: replyId } },
      conversation: { runningReply: { id: replyIdOf(regenerated) } },
    });
    expect(await readMessages(conversationId)).toHaveLength(2);
    expect(await readMessage(replyId)).toMatchObject({ status: 'STOPPED', text: 'Wr' });
    await command(server, stopMessage, { replyId: replyIdOf(regenerated) });
  });

  test('is refused for an earlier reply, for one that is replaced already and for a message that is no reply', async () => {
    const message = { content: { text: 'One.' } };
    const started = await command(server, startConversation, { agentId, message, awaitReply: true });
    const conversationId = started.conversation.id;
    const later = await command(server, sendMessage, { conversationId, content: { text: 'Two.' }, awaitReply: true });
    const newest = await command(server, regenerateMessage, { replyId: replyIdOf(later), awaitReply: true });
    for (const replyId of [replyIdOf(started), replyIdOf(later), started.message.id]) {
      const refused = await command(server, regenerateMessage, { replyId });
      expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['replyId'] }] });
    }
    expect((await readMessages(conversationId)).at(-1)).toBe(replyIdOf(newest));
  });

  test('is refused when it is no longer the most recent message, so that no answer is put in the wrong place', async () => {
    const message = { content: { text: 'What is the capital of Peru?' } };
    const started = await command(server, startConversation, { agentId, message, awaitReply: true });
    const conversationId = started.conversation.id;
    await command(server, sendMessage, { conversationId, content: { text: 'And of Chile?' }, action: 'NONE' });
    const refused = await command(server, regenerateMessage, { replyId: replyIdOf(started) });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['replyId'] }] });
  });
});
