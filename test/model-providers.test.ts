import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelRuntime } from '../src/agents/model/runtime.ts';
import type { Turn } from '../src/agents/runtime.ts';
import { createLogger } from '../src/logger.ts';
import { anthropicStreams, begins, cuts, googleStreams, ModelServer, refuses } from './harness/model-server.ts';
import { replyOf, said, turnOf } from './harness/turn.ts';
import { schemas } from './harness/schemas.ts';

let server: ModelServer;
beforeAll(async () => {
  server = await new ModelServer().start();
});
afterAll(() => server.close());

const key = 'sk-planted-secret';

function reply(provider: 'anthropic' | 'google', changes: Partial<Turn> = {}) {
  const { url } = server;
  const runtime = modelRuntime({
    search: async () => ({ passages: [], near: [] }),
    schemas,
    logger: createLogger({ level: 'silent' }),
    allowPrivateAddresses: true,
    settings: { model: 'fake', anthropic: { apiKey: key, url }, google: { apiKey: key, url } },
  });
  const history = [
    said('AGENT', 'Hello.'),
    said('USER', 'Be gone.'),
    said('CONTROL', 'Be brief.'),
    said('USER', 'A human, please.'),
  ];
  return replyOf(runtime, turnOf({ systemPrompt: 'You sell hats.', history, parameters: { provider }, ...changes }));
}

/** The same call and the same answer, whoever gives them. */
const parts = [
  { type: 'text-start' },
  { type: 'text-delta', text: 'One ' },
  { type: 'text-delta', text: 'moment.' },
  { type: 'usage', inputTokens: 30, outputTokens: 8 },
  { type: 'text-end', metadata: {} },
  { type: 'tool-call', callId: 'call_1', name: 'requestHandoff', args: { reason: 'Asked.' } },
  { type: 'handoff-request', reason: 'Asked.' },
  { type: 'tool-result', callId: 'call_1', response: { requested: true }, failed: false },
  { type: 'text-start' },
  { type: 'text-delta', text: 'Done.' },
  { type: 'usage', inputTokens: 50, outputTokens: 2 },
  { type: 'text-end', metadata: { finishReason: 'length' } },
  { type: 'finish' },
];

describe('Anthropic', () => {
  const text = (index: number, ...pieces: string[]) => [
    { type: 'content_block_start', index, content_block: { type: 'text', text: '' } },
    ...pieces.map((piece) => ({ type: 'content_block_delta', index, delta: { type: 'text_delta', text: piece } })),
    { type: 'content_block_stop', index },
  ];
  const message = (input: number) => ({
    type: 'message_start',
    message: {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'fake',
      content: [],
      usage: { input_tokens: input, output_tokens: 1 },
    },
  });
  const end = (stop_reason: string, output_tokens: number) => [
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } },
    { type: 'message_stop' },
  ];

  test('answers, calls a tool and answers again', async () => {
    server.answer(
      anthropicStreams(
        message(30),
        ...text(0, 'One ', 'moment.'),
        {
          type: 'content_block_start',
          index: 1,
          content_block: { type: 'tool_use', id: 't1', name: 'requestHandoff', input: {} },
        },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"reason":' } },
        { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '"Asked."}' } },
        { type: 'content_block_stop', index: 1 },
        ...end('tool_use', 8),
      ),
      anthropicStreams(message(50), ...text(0, 'Done.'), ...end('max_tokens', 2)),
    );
    expect(await reply('anthropic')).toMatchObject({ error: undefined, parts });
    const [first, second] = server.requests;
    expect(first).toMatchObject({
      path: '/messages',
      headers: { 'x-api-key': key },
      body: { model: 'fake', stream: true },
    });
    expect(JSON.stringify(first?.body.system)).toMatch(/You sell hats\..*begin with \[operator \w{8}\]/);
    const said = first?.body.messages?.map(({ role, content }) => [role, JSON.stringify(content)]);
    expect(said).toEqual([
      ['user', expect.stringContaining('…')],
      ['assistant', expect.stringContaining('Hello.')],
      ['user', expect.stringMatching(/Be gone\..*\[operator \w{8}\] Be brief\..*A human, please\./)],
    ]);
    expect(second?.body.messages?.slice(3)).toMatchObject([
      { role: 'assistant', content: [{ text: 'One moment.' }, { type: 'tool_use', id: 't1' }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1' }] },
    ]);
  });

  test.each([
    [
      'refuses the key',
      refuses(401, { body: { type: 'error', error: { type: 'auth', message: `No: ${key}` } } }),
      '',
      /\(401\)/,
    ],
    ['breaks off', begins([message(3), ...text(0, 'One ').slice(0, 2)], cuts), 'One ', /broke off/],
    ['ends early', anthropicStreams(message(3), ...text(0, 'One ')), 'One ', /broke off/],
    [
      'reports a fault in the middle',
      anthropicStreams(message(3), ...text(0, 'One '), {
        type: 'error',
        error: { type: 'overloaded_error', message: `Overloaded: ${key}` },
      }),
      'One ',
      /reported a fault/,
    ],
  ])('that %s ends the reply in an error', async (_case, script, kept, reason) => {
    server.answer(script);
    const { parts: heard, text: written, error } = await reply('anthropic');
    expect(written).toBe(kept);
    expect(heard.map(({ type }) => type)).not.toContain('text-end');
    expect(error).toMatchObject({ name: 'RuntimeError', message: expect.stringMatching(reason) });
    expect(String(error)).not.toContain(key);
  });
});

describe('Google', () => {
  const chunk = (parts: unknown[], rest: Record<string, unknown> = {}) => ({
    candidates: [{ content: { role: 'model', parts }, ...rest }],
  });
  const usage = (promptTokenCount: number, candidatesTokenCount: number) => ({
    usageMetadata: { promptTokenCount, candidatesTokenCount, totalTokenCount: promptTokenCount + candidatesTokenCount },
  });

  test('answers, calls a tool and answers again', async () => {
    server.answer(
      googleStreams(chunk([{ text: 'One ' }]), chunk([{ text: 'moment.' }]), {
        ...chunk([{ functionCall: { name: 'requestHandoff', args: { reason: 'Asked.' } }, thoughtSignature: 'sig' }], {
          finishReason: 'STOP',
        }),
        ...usage(30, 8),
      }),
      googleStreams({ ...chunk([{ text: 'Done.' }], { finishReason: 'MAX_TOKENS' }), ...usage(50, 2) }),
    );
    expect(await reply('google')).toMatchObject({ error: undefined, parts });
    const [first, second] = server.requests;
    expect(first).toMatchObject({
      path: '/models/fake:streamGenerateContent?alt=sse',
      headers: { 'x-goog-api-key': key },
    });
    expect(JSON.stringify(first?.body.systemInstruction)).toMatch(/You sell hats\..*begin with \[operator \w{8}\]/);
    expect(JSON.stringify(first?.body.contents)).toMatch(/….*Hello\..*Be gone\..*\[operator \w{8}\] Be brief\./);
    // What the provider wants back with its call.
    expect(JSON.stringify(second?.body.contents)).toMatch(
      /"functionCall".*"thoughtSignature":"sig".*"functionResponse"/,
    );
  });

  test.each([
    [
      'refuses the key',
      refuses(403, { body: { error: { code: 403, message: `No: ${key}`, status: 'X' } } }),
      '',
      /\(403\)/,
    ],
    ['breaks off', begins([chunk([{ text: 'One ' }])], cuts), 'One ', /broke off/],
    ['ends early', googleStreams(chunk([{ text: 'One ' }])), 'One ', /broke off/],
  ])('that %s ends the reply in an error', async (_case, script, kept, reason) => {
    server.answer(script);
    const { parts: heard, text, error } = await reply('google');
    expect(text).toBe(kept);
    expect(heard.map(({ type }) => type)).not.toContain('text-end');
    expect(error).toMatchObject({ name: 'RuntimeError', message: expect.stringMatching(reason) });
    expect(String(error)).not.toContain(key);
  });
});
