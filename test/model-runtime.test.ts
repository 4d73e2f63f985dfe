import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HttpTool } from '../src/agents/http-tool.ts';
import type { FoundPassage, KnowledgeSearch } from '../src/agents/knowledge/port.ts';
import type { ModelSettings } from '../src/agents/model/providers.ts';
import { modelRuntime } from '../src/agents/model/runtime.ts';
import type { Playbook } from '../src/agents/playbook.ts';
import { partsOf, type ReplyPart, type Turn } from '../src/agents/runtime.ts';
import { createLogger } from '../src/logger.ts';
import {
  begins,
  callChunks,
  calls,
  finishChunk,
  ModelServer,
  refuses,
  says,
  streams,
  textChunks,
  usageChunk,
} from './harness/model-server.ts';
import { replyOf, said, turnOf } from './harness/turn.ts';
import { schemas } from './harness/schemas.ts';

let server: ModelServer;
beforeAll(async () => {
  server = await new ModelServer().start();
});
afterAll(() => server.close());

interface Given {
  settings?: ModelSettings;
  search?: KnowledgeSearch;
  allowPrivateAddresses?: boolean;
}

function runtime({
  settings,
  search = async () => ({ passages: [], near: [] }),
  allowPrivateAddresses = true,
}: Given = {}) {
  return modelRuntime({
    search,
    schemas,
    logger: createLogger({ level: 'silent' }),
    allowPrivateAddresses,
    settings: { url: `${server.url}/v1`, model: 'fake', ...settings },
  });
}

function reply(changes: Partial<Turn> = {}, given: Given = {}) {
  return replyOf(runtime(given), turnOf(changes));
}

/** The messages of the n-th request, system text aside. */
function shown(request = 0): unknown[] {
  return (server.requests[request]?.body.messages ?? []).slice(1).map(({ role, content }) => [role, content]);
}

function systemText(request = 0): string {
  return String(server.requests[request]?.body.messages?.[0]?.content);
}

function offered(request = 0): unknown[] {
  return (server.requests[request]?.body.tools ?? []).map((tool) => tool.function?.name);
}

function results(parts: ReplyPart[]) {
  return parts.filter((part) => part.type === 'tool-result');
}

const returns: Playbook = {
  name: 'returns',
  instructions: 'Be kind.',
  phases: [
    { name: 'ask', instructions: 'Ask for the order.', next: ['solve'] },
    { name: 'solve', instructions: 'Solve it.', next: ['close'] },
    { name: 'close', instructions: 'Say goodbye.', next: [] },
  ],
};

const state = { playbook: 'returns', phase: 'ask', systemMessage: null, context: null };

const passage: FoundPassage = {
  articleId: 'a1',
  title: 'Stop a reply',
  heading: 'Exactly this one',
  text: `Call stopReply. ${'It is harmless. '.repeat(50)}`,
  url: 'https://example.org/stop',
  score: 0.9,
};

describe('an answer of the model', () => {
  test('is its text as it comes, what it used, and the end', async () => {
    server.answer(says('Hel', 'lo', '!'));
    expect((await reply()).parts).toEqual([
      { type: 'text-start' },
      { type: 'text-delta', text: 'Hel' },
      { type: 'text-delta', text: 'lo' },
      { type: 'text-delta', text: '!' },
      { type: 'usage', inputTokens: 10, outputTokens: 3 },
      { type: 'text-end', metadata: {} },
      { type: 'finish' },
    ]);
  });

  test('says why it ended when that was not the end', async () => {
    server.answer(streams(...textChunks('Half a'), finishChunk('length')));
    expect((await reply()).parts).toContainEqual({ type: 'text-end', metadata: { finishReason: 'length' } });
    server.answer(streams(...textChunks('I'), finishChunk('content_filter')));
    expect((await reply()).parts).toContainEqual({ type: 'text-end', metadata: { finishReason: 'content-filter' } });
    server.answer(streams(...textChunks('All.'), finishChunk('because')));
    const { parts } = await reply();
    expect(parts).toContainEqual({ type: 'text-end', metadata: {} });
    expect(parts.at(-1)).toEqual({ type: 'finish' });
  });

  test('has no fragment of blanks only, and loses none that belongs to its text', async () => {
    const blank = textChunks('\n', ' \n');
    server.answer(
      streams(...blank, ...callChunks('requestHandoff', { reason: 'r' }), finishChunk('tool_calls')),
      streams(...textChunks('\n', ' ', 'Bye', '\n'), finishChunk('stop')),
    );
    const { parts, text } = await reply();
    expect(parts.filter(({ type }) => type === 'text-start')).toHaveLength(1);
    expect(text).toBe('\n Bye\n');
  });

  test('that is empty is an error, and so is one that was withheld', async () => {
    server.answer(streams(finishChunk('stop')), streams(finishChunk('content_filter')));
    expect((await reply()).error).toMatchObject({ name: 'RuntimeError', message: expect.stringContaining('empty') });
    expect((await reply()).error).toMatchObject({ name: 'RuntimeError', message: expect.stringContaining('withheld') });
  });

  test('uses the parameters', async () => {
    server.answer(says('Hi.'));
    await reply({ parameters: { model: 'other', temperature: 0.2, maxOutputTokens: 77 } });
    expect(server.requests[0]?.body).toMatchObject({ model: 'other', temperature: 0.2, max_tokens: 77 });
    server.answer(says('Hi.'));
    await reply();
    expect(server.requests[0]?.body).toMatchObject({ model: 'fake' });
    expect(server.requests[0]?.body).not.toHaveProperty('max_tokens');
    expect(server.requests[0]?.body).not.toHaveProperty('temperature');
  });
});

describe('the model is told', () => {
  test("its agent's prompt, its playbook's instructions, the context and its tools", async () => {
    server.answer(says('Hi.'));
    await reply({
      systemPrompt: 'You sell hats.',
      state: { ...state, context: { plan: 'gold' } },
      playbook: returns,
      corpusId: 'corpus',
    });
    expect(systemText()).toBe(
      [
        'You sell hats.',
        'Be kind.\n\nAsk for the order.',
        'What is known about this conversation, as JSON:\n{"plan":"gold"}',
        'You can call these tools: queryKnowledgeBase, changePhase, requestHandoff.',
      ].join('\n\n'),
    );
    expect(offered()).toEqual(['queryKnowledgeBase', 'changePhase', 'requestHandoff']);
  });

  test('who it is when nobody has written a prompt', async () => {
    server.answer(says('Hi.'));
    await reply();
    expect(systemText()).toContain('You are Ada.');
  });

  test("the state's system message instead of the instructions of its playbook", async () => {
    server.answer(calls('changePhase', { phase: 'solve' }), says('Hi.'));
    await reply({ state: { ...state, systemMessage: 'Say nothing but yes.' }, playbook: returns });
    expect(systemText()).toContain('Say nothing but yes.');
    expect(JSON.stringify(server.requests)).not.toMatch(/Be kind|Solve it/);
  });

  test('hidden instructions where they stand, as the system', async () => {
    server.answer(says('Hi.'));
    const history = [said('USER', 'a'), said('CONTROL', 'Be brief.'), said('AGENT', 'b'), said('USER', 'c')];
    await reply({ history });
    expect(shown()).toEqual([
      ['user', 'a'],
      ['system', 'Be brief.'],
      ['assistant', 'b'],
      ['user', 'c'],
    ]);
  });

  test('each side in turn: what one says twice in a row is one message, and what is empty is none', async () => {
    server.answer(says('Hi.'));
    const history = [said('USER', 'a'), said('AGENT', ''), said('USER', 'b'), said('AGENT', 'c'), said('USER', 'd')];
    await reply({ history });
    expect(shown()).toEqual([
      ['user', 'a\n\nb'],
      ['assistant', 'c'],
      ['user', 'd'],
    ]);
  });

  test('to go on when it spoke last', async () => {
    server.answer(says('More.'));
    await reply({ history: [said('USER', 'a'), said('AGENT', 'b')] });
    expect(shown().at(-1)).toEqual(['system', 'Say what comes next.']);
  });
});

describe('an agent that speaks first', () => {
  test('says its greeting, and asks no model for it', async () => {
    server.answer();
    const { parts } = await reply({ history: [], greeting: 'Welcome to Acme.' }, { settings: { url: undefined } });
    expect(parts).toEqual([
      { type: 'text-start' },
      { type: 'text-delta', text: 'Welcome to Acme.' },
      { type: 'text-end' },
      { type: 'finish' },
    ]);
    expect(server.requests).toEqual([]);
  });

  test('without a greeting, has the model find one', async () => {
    server.answer(says('Welcome!'));
    expect((await reply({ history: [] })).text).toBe('Welcome!');
    expect(shown()).toEqual([
      ['user', expect.stringMatching(/^\[operator \w{8}\] The user has not said anything yet/)],
    ]);
  });

  test('with hidden instructions, has the model follow those, by a mark that no user can know', async () => {
    server.answer(says('¡Hola!'), says('¡Hola!'));
    const history = [said('CONTROL', 'Greet in Spanish.')];
    await reply({ history, greeting: 'Welcome.' });
    await reply({ history, greeting: 'Welcome.' });
    const marks = [0, 1].map((request) => /\[operator \w{8}\]/.exec(systemText(request))?.[0]);
    expect(marks[0]).toBeDefined();
    expect(marks[0]).not.toBe(marks[1]);
    expect(shown()).toEqual([
      ['user', `${marks[0]} Greet in Spanish.`],
      ['user', expect.stringContaining('Your usual greeting is: Welcome.')],
    ]);
  });
});

describe('the window of the model', () => {
  const long = (name: string) => `${name} ${'word '.repeat(200)}`.trim();
  const history = [
    ...['u1', 'u2', 'u3'].flatMap((name) => [said('USER', long(name)), said('AGENT', long(name.replace('u', 'a')))]),
    said('USER', 'last'),
    said('CONTROL', 'hint'),
  ];

  async function kept(parameters: Turn['parameters'], changes: Partial<Turn> = {}): Promise<string[]> {
    server.answer(says('Hi.'));
    await reply({ history, parameters, ...changes });
    return shown().map((message) => JSON.stringify(message).replace(/ word.*/, '"]'));
  }

  const all = ['["user","u1"]', '["assistant","a1"]', '["user","u2"]', '["assistant","a2"]', '["user","u3"]'].concat([
    '["assistant","a3"]',
    '["user","last"]',
    '["system","hint"]',
  ]);

  test('takes the whole history while it fits', async () => {
    expect(await kept({})).toEqual(all);
  });

  test('loses the oldest messages first, each as a whole, when it is too small', async () => {
    // A long message is about 360 tokens by the estimate.
    expect(await kept({ contextTokens: 3000, maxOutputTokens: 1000 })).toEqual(all.slice(1));
    expect(await kept({ contextTokens: 1000, maxOutputTokens: 100 })).toEqual(all.slice(5));
  });

  test("always takes the instructions and everything from the user's last message on", async () => {
    expect(await kept({ contextTokens: 1000, maxOutputTokens: 1 }, { systemPrompt: long('s').repeat(5) })).toEqual(
      all.slice(6),
    );
    expect(systemText().length).toBeGreaterThan(5000);
  });

  test("takes of the user's last message what fits, and says that it was cut", async () => {
    const pages = '漢字 '.repeat(150_000);
    const history = [said('USER', 'first'), said('USER', pages), said('CONTROL', 'hint')];
    await kept({ contextTokens: 8000, maxOutputTokens: 1000 }, { history });
    const [[, question], hint, ...more] = shown() as [[string, string], ...unknown[]];
    expect([hint, more]).toEqual([['system', 'hint'], []]);
    const [start = '', mark] = question.split('\n');
    expect(pages.startsWith(start)).toBe(true);
    expect(mark).toBe('[Cut here: the rest is not shown.]');
    const bytes = Buffer.byteLength(`${systemText()}${question}`);
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThan(3 * 7000);
  });

  test("keeps a quarter for the user's last message, however long the instructions are", async () => {
    const history = [said('USER', long('last').repeat(10))];
    await kept({ contextTokens: 2000, maxOutputTokens: 1000 }, { history, systemPrompt: long('s').repeat(5) });
    const [[, question]] = shown() as [[string, string]];
    expect(question.length).toBeGreaterThanOrEqual(750);
    expect(question.length).toBeLessThan(800);
  });

  test('counts a character of a script without an alphabet as a token', async () => {
    server.answer(says('Hi.'));
    const chinese = [said('USER', '漢'.repeat(700)), said('AGENT', '字'.repeat(700)), said('USER', 'last')];
    await reply({ history: chinese, parameters: { contextTokens: 1200, maxOutputTokens: 100 } });
    expect(shown()).toHaveLength(2);
  });

  test('is not filled by one answer of a tool', async () => {
    server.answer(calls('queryKnowledgeBase', { query: 'q' }), says('Hi.'));
    const search = async () => ({ passages: [{ ...passage, text: 'x'.repeat(100_000) }], near: [] });
    await reply({ corpusId: 'c', parameters: { contextTokens: 4000 } }, { search });
    const told = server.requests[1]?.body.messages?.at(-1)?.content;
    expect(String(told).length).toBeLessThan(4000);
    expect(told).toMatch(/cut off\)$/);
  });
});

describe('the model', () => {
  test('looks things up in the corpus, with the metadata of the question, and cites what it found', async () => {
    const asked: unknown[] = [];
    const search: KnowledgeSearch = async (request) => {
      asked.push(request);
      return { passages: [passage], near: [] };
    };
    server.answer(calls('queryKnowledgeBase', { query: 'stop' }, { text: ['Let me look.'] }), says('Call stopReply.'));
    const history = [said('USER', 'How?', { queryMetadata: { team: 'secret' } })];
    const { parts } = await reply({ history, corpusId: 'corpus' }, { search });
    expect(asked).toEqual([{ corpusId: 'corpus', query: 'stop', queryMetadata: { team: 'secret' }, limit: 5 }]);
    const { articleId, title, heading, url } = passage;
    expect(parts.filter(({ type }) => type !== 'usage' && type !== 'text-delta')).toEqual([
      { type: 'text-start' },
      { type: 'text-end', metadata: {} },
      { type: 'tool-call', callId: 'call_1', name: 'queryKnowledgeBase', args: { query: 'stop' } },
      {
        type: 'tool-result',
        callId: 'call_1',
        response: {
          passages: [{ title, heading, url, excerpt: expect.stringMatching(/^Call stopReply.{100,200}…$/) }],
        },
        failed: false,
      },
      { type: 'text-start' },
      { type: 'text-end', metadata: { citations: [{ articleId, title, heading, url }] } },
      { type: 'finish' },
    ]);
    // It is told the whole passage.
    expect(shown(1).at(-1)).toEqual(['tool', expect.stringContaining(passage.text)]);
    expect(JSON.stringify(parts)).not.toContain('secret');
  });

  test('cannot look things up without a corpus, nor change the phase where there is none to go to', async () => {
    server.answer(says('Hi.'));
    await reply({ state: { ...state, phase: 'close' }, playbook: returns });
    expect(offered()).toEqual(['requestHandoff']);
  });

  test('goes through the phases, each time told the new instructions and what comes after', async () => {
    server.answer(calls('changePhase', { phase: 'solve' }), calls('changePhase', { phase: 'close' }), says('Bye.'));
    const { parts } = await reply({ state, playbook: returns });
    expect(parts.filter(({ type }) => type !== 'usage').slice(0, 4)).toEqual([
      { type: 'tool-call', callId: 'call_1', name: 'changePhase', args: { phase: 'solve' } },
      { type: 'state-change', phase: 'solve' },
      { type: 'tool-result', callId: 'call_1', response: { phase: 'solve' }, failed: false },
      { type: 'tool-call', callId: 'call_2', name: 'changePhase', args: { phase: 'close' } },
    ]);
    expect(shown(1).at(-1)).toEqual(['tool', expect.stringContaining('Be kind.\\n\\nSolve it.')]);
    expect(systemText(1)).toContain('Solve it.');
    expect(systemText(1)).not.toContain('Ask for the order.');
    expect([0, 1, 2].map(offered)).toEqual([
      ['changePhase', 'requestHandoff'],
      ['changePhase', 'requestHandoff'],
      ['requestHandoff'],
    ]);
    expect(JSON.stringify(server.requests[1]?.body.tools)).toContain('"enum":["close"]');
    expect(JSON.stringify(parts)).not.toContain('Solve it');
  });

  test('cannot go to a phase that does not follow, not even by way of two calls at once', async () => {
    server.answer(
      streams(
        ...callChunks('changePhase', { phase: 'solve' }),
        ...callChunks('changePhase', { phase: 'solve' }, { index: 1, id: 'second' }),
        finishChunk('tool_calls'),
      ),
      says('Sorry.'),
    );
    const { parts } = await reply({ state, playbook: returns });
    expect(results(parts).map(({ failed }) => failed)).toEqual([false, true]);
    expect(parts.filter(({ type }) => type === 'state-change')).toHaveLength(1);
  });

  test('asks for a human, and may then say so or not', async () => {
    server.answer(calls('requestHandoff', { reason: 'Wants a refund.' }), streams(finishChunk('stop')));
    const { parts, error } = await reply();
    expect(error).toBeUndefined();
    expect(parts.filter(({ type }) => type !== 'usage')).toEqual([
      { type: 'tool-call', callId: 'call_1', name: 'requestHandoff', args: { reason: 'Wants a refund.' } },
      { type: 'handoff-request', reason: 'Wants a refund.' },
      { type: 'tool-result', callId: 'call_1', response: { requested: true }, failed: false },
      { type: 'finish' },
    ]);
  });

  test('calls no more after its last step', async () => {
    server.answer(
      calls('requestHandoff', { reason: 'a' }),
      calls('requestHandoff', { reason: 'b' }, { text: ['Bye.'] }),
    );
    const { parts } = await reply({ parameters: { maxSteps: 2 } });
    expect(server.requests.map(({ body }) => body.tool_choice)).toEqual(['auto', 'none']);
    expect(systemText(1)).not.toContain('tools');
    expect(results(parts).map(({ failed }) => failed)).toEqual([false, true]);
    expect(parts.at(-1)).toEqual({ type: 'finish' });
    expect(server.requests).toHaveLength(2);
  });
});

describe('what the model gets wrong it is told, and may correct', () => {
  test.each([
    ['a tool that there is not', calls('makeCoffee', { sugar: true }), /no such tool/, { sugar: true }],
    ['arguments of the wrong shape', calls('requestHandoff', { why: 1 }), /not valid.*reason/, { why: 1 }],
    ['arguments that are no JSON', calls('requestHandoff', '{"reason": '), /not a JSON object/, {}],
    ['arguments that are no object', calls('requestHandoff', '[1]'), /not a JSON object/, {}],
    [
      'arguments that no database could hold',
      calls('requestHandoff', `{"reason":${'['.repeat(5000)}${']'.repeat(5000)}}`),
      /not a JSON object/,
      {},
    ],
  ])('%s', async (_case, wrong, reason, args) => {
    server.answer(wrong, says('Sorry.'));
    const { parts, text, error } = await reply();
    expect(error).toBeUndefined();
    expect(text).toBe('Sorry.');
    expect(parts.find(({ type }) => type === 'tool-call')).toMatchObject({ args });
    expect(results(parts)).toEqual([
      { type: 'tool-result', callId: 'call_1', response: { error: expect.stringMatching(reason) }, failed: true },
    ]);
    expect(shown(1).at(-1)).toEqual(['tool', expect.stringMatching(reason)]);
  });

  test('a name that is none is made one before it is sent back', async () => {
    server.answer(calls(`no tool ${'x'.repeat(200)}`, {}), says('Sorry.'));
    const { parts } = await reply();
    expect(parts.find(({ type }) => type === 'tool-call')).toMatchObject({
      name: expect.stringMatching(/^no tool x+$/),
    });
    const sent = JSON.stringify(server.requests[1]?.body.messages);
    expect(sent).toContain(`"name":"no_tool_${'x'.repeat(56)}"`);
  });

  test('a search that fails is one of these', async () => {
    server.answer(calls('queryKnowledgeBase', { query: 'q' }), says('I do not know.'));
    const { parts, text } = await reply(
      { corpusId: 'c' },
      { search: () => Promise.reject(new Error('secret: no database')) },
    );
    expect(text).toBe('I do not know.');
    expect(results(parts)).toMatchObject([{ failed: true, response: { error: 'The tool failed.' } }]);
    expect(JSON.stringify(server.requests)).not.toContain('secret');
  });
});

describe("the operator's tools", () => {
  const endpoint = new ModelServer();
  beforeAll(() => endpoint.start());
  afterAll(() => endpoint.close());

  const tool = (changes: Partial<HttpTool> = {}): HttpTool => ({
    name: 'findOrder',
    description: 'Finds an order.',
    url: `${endpoint.url}/orders`,
    headers: { Authorization: 'Bearer hunter2' },
    parametersSchema: {
      properties: { id: { type: 'string' }, pair: { type: 'array', prefixItems: [{ const: 1 }], items: false } },
      required: ['id'],
    },
    timeoutSeconds: 10,
    ...changes,
  });

  test('are called with what the model says, which is told the answer and no header', async () => {
    server.answer(calls('findOrder', { id: 'o1' }), says('It is on its way.'));
    endpoint.answer(refuses(200, { body: { state: 'sent' } }));
    const { parts } = await reply({ tools: [tool()] });
    expect(endpoint.requests[0]).toMatchObject({ path: '/orders', body: { id: 'o1' } });
    expect(endpoint.requests[0]?.headers).toMatchObject({ authorization: 'Bearer hunter2' });
    expect(results(parts)).toEqual([
      { type: 'tool-result', callId: 'call_1', response: { state: 'sent' }, failed: false },
    ]);
    expect(server.requests[0]?.body.tools?.at(-1)).toMatchObject({
      function: { name: 'findOrder', description: 'Finds an order.', parameters: { type: 'object', required: ['id'] } },
    });
    expect(shown(1).at(-1)).toEqual(['tool', '{"state":"sent"}']);
    expect(JSON.stringify(server.requests.map(({ body }) => body)) + JSON.stringify(parts)).not.toContain('hunter2');
  });

  test('are not called with arguments that their schema refuses, which is of draft 2020-12', async () => {
    server.answer(calls('findOrder', { id: 'o1', pair: [1, 2] }), says('Sorry.'));
    endpoint.answer();
    const { parts } = await reply({ tools: [tool()] });
    expect(results(parts)).toMatchObject([{ failed: true, response: { error: expect.stringContaining('pair') } }]);
    expect(endpoint.requests).toEqual([]);
  });

  test.each<[string, Partial<HttpTool>, RegExp]>([
    ['one that fails', {}, /status 500/],
    ['one whose schema is none', { parametersSchema: { type: 'nonsense' } }, /schema/],
  ])('tell the model of %s, which may go on', async (_case, changes, reason) => {
    server.answer(calls('findOrder', { id: 'o1' }), says('Sorry.'));
    endpoint.answer(refuses(500, { body: 'hunter2' }));
    const { parts, text } = await reply({ tools: [tool(changes)] });
    expect(results(parts)).toMatchObject([{ failed: true, response: { error: expect.stringMatching(reason) } }]);
    expect(text).toBe('Sorry.');
    expect(JSON.stringify(parts)).not.toContain('hunter2');
  });

  test('are not called at private addresses unless the setting allows it', async () => {
    server.answer(calls('findOrder', { id: 'o1' }), says('Sorry.'));
    endpoint.answer(refuses(200));
    const { parts } = await reply({ tools: [tool()] }, { allowPrivateAddresses: false });
    expect(results(parts)).toMatchObject([
      { failed: true, response: { error: expect.stringContaining('not allowed') } },
    ]);
    expect(endpoint.requests).toEqual([]);
  });
});

test('arguments that come in many pieces are put together', async () => {
  server.answer(calls('requestHandoff', { reason: 'a human, "please" 👩‍👩‍👧' }, { pieces: 20 }), says('Bye.'));
  const { parts } = await reply();
  expect(parts.find(({ type }) => type === 'handoff-request')).toMatchObject({ reason: 'a human, "please" 👩‍👩‍👧' });
});

test('calls that share an id are told apart', async () => {
  server.answer(calls('requestHandoff', { reason: 'a' }), calls('requestHandoff', { reason: 'b' }), says('Bye.'));
  const { parts } = await reply();
  expect(results(parts).map(({ callId }) => callId)).toEqual(['call_1', 'call_2']);
});

test('what was used is said after each step', async () => {
  server.answer(
    streams(...callChunks('requestHandoff', { reason: 'r' }), finishChunk('tool_calls'), usageChunk(100, 7)),
    streams(...textChunks('Bye.'), finishChunk('stop'), usageChunk(120, 3)),
  );
  expect((await reply()).parts.filter(({ type }) => type === 'usage')).toEqual([
    { type: 'usage', inputTokens: 100, outputTokens: 7 },
    { type: 'usage', inputTokens: 120, outputTokens: 3 },
  ]);
  server.answer(streams(...textChunks('Bye.'), finishChunk('stop')));
  expect((await reply()).parts.filter(({ type }) => type === 'usage')).toEqual([]);
});

describe('a setting that is missing is named', () => {
  test.each<[string, ModelSettings, Turn['parameters'], RegExp]>([
    ['no provider', { url: undefined }, {}, /PARLEY_MODEL_URL, ANTHROPIC_API_KEY or GOOGLE_GENERATIVE_AI_API_KEY/],
    ['no model', { model: undefined }, {}, /PARLEY_MODEL\b/],
    ['another provider', {}, { provider: 'anthropic' }, /ANTHROPIC_API_KEY/],
    ['another provider', {}, { provider: 'google' }, /GOOGLE_GENERATIVE_AI_API_KEY/],
    ['another provider', { url: undefined }, { provider: 'openai-compatible' }, /PARLEY_MODEL_URL/],
  ])('%s: %j %j', async (_case, settings, parameters, named) => {
    server.answer();
    const { parts, error } = await reply({ parameters }, { settings });
    expect(parts).toEqual([]);
    expect(error).toMatchObject({ name: 'RuntimeError', message: expect.stringMatching(named) });
  });
});

describe('an abort', () => {
  const reason = new Error('stopped');

  test('ends an answer in its middle at once, with its reason, and closes the connection', async () => {
    const controller = new AbortController();
    server.answer(begins(textChunks('Hel')));
    const run = replyOf(runtime(), turnOf(), controller.signal);
    await expect.poll(() => server.requests.length).toBe(1);
    controller.abort(reason);
    expect((await run).error).toBe(reason);
    await server.requests[0]?.closed;
  });

  test('ends the wait before another attempt', async () => {
    const controller = new AbortController();
    server.answer(refuses(503, { headers: { 'retry-after': '4' } }));
    const run = replyOf(runtime(), turnOf(), controller.signal);
    await expect.poll(() => server.requests.length).toBe(1);
    const aborted = performance.now();
    controller.abort(reason);
    expect((await run).error).toBe(reason);
    expect(performance.now() - aborted).toBeLessThan(2000);
  });

  test('before the beginning leaves nothing to do', async () => {
    server.answer();
    const { error } = await replyOf(runtime(), turnOf(), AbortSignal.abort(reason));
    expect(error).toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test('a reader that leaves closes the connection', async () => {
    server.answer(begins(textChunks('Hel', 'lo')));
    for await (const part of partsOf(runtime().reply(turnOf(), new AbortController().signal))) {
      if (part.type === 'text-delta') break;
    }
    await server.requests[0]?.closed;
  });
});

test('the parameters have a JSON Schema that describes each, with its defaults', () => {
  const { parametersSchema } = runtime();
  const validate = new Ajv2020({ strict: true }).compile(parametersSchema);
  for (const right of [{}, { provider: 'google', model: 'm', temperature: 0, maxOutputTokens: 1, maxSteps: 1 }])
    expect(validate(right)).toBe(true);
  for (const wrong of [{ provider: 'x' }, { model: '' }, { temperature: 3 }, { maxSteps: 0 }, { apiKey: 'k' }])
    expect(validate(wrong)).toBe(false);
  expect(parametersSchema).toMatchObject({
    properties: { contextTokens: { default: 32_768 }, maxSteps: { default: 8 } },
  });
  for (const property of Object.values(parametersSchema.properties ?? {}))
    expect(property).toMatchObject({ title: expect.any(String), description: expect.stringMatching(/\.$/) });
});
