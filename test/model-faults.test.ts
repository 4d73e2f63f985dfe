import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../src/logger.ts';
import { createConversation, readMessage, send } from './harness/commands.ts';
import { replyEvents } from './harness/events.ts';
import {
  begins,
  callChunks,
  calls,
  cuts,
  event,
  finishChunk,
  floods,
  hangs,
  ModelServer,
  refuses,
  says,
  type Script,
  streams,
  textChunks,
} from './harness/model-server.ts';
import { record } from './harness/recording.ts';
import { createAgent } from './harness/scripted-runtime.ts';
import { startServer } from './harness/server.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { flooded, MB, replyOfModel } from './harness/flooded-model.ts';

const key = 'sk-planted-secret';
const secret = { error: { message: `The key ${key} of internal-host is no good.` } };

const model = new ModelServer();
const database = useBootstrappedDatabase();
let server: Awaited<ReturnType<typeof startServer>>;
/** It waits a second for a silent model. */
let impatient: Awaited<ReturnType<typeof startServer>>;
let agentId: string;

beforeAll(async () => {
  await model.start();
  const config = { modelUrl: `${model.url}/v1`, modelApiKey: key, model: 'fake' };
  [server, impatient] = await Promise.all([
    startServer(database.url, { config: { ...config, runtimeSilenceSeconds: 20 } }),
    startServer(database.url, { config: { ...config, runtimeSilenceSeconds: 1 } }),
  ]);
  agentId = await createAgent(server.services, 'model');
});
afterAll(async () => {
  await Promise.all([server.close(), impatient.close()]);
  await model.close();
});

/** How the agent replies to one message. */
async function replied(target: typeof server) {
  const { conversation } = await createConversation(target, { agentId, action: 'NONE' });
  const { reply } = await send(target, { conversationId: conversation.id, content: { text: 'Hello?' } });
  const replyId = reply?.id ?? '';
  await record(replyEvents(target, { replyId })).ended();
  return readMessage(target, replyId);
}

async function expectFault(
  target: typeof server,
  scripts: Script[],
  { text, reason, requests }: { text: string; reason: RegExp; requests: number },
): Promise<void> {
  model.answer(...scripts);
  const reply = await replied(target);
  expect(reply).toMatchObject({ status: 'ERROR', text, errorDetail: expect.stringMatching(reason) });
  expect(JSON.stringify(reply)).not.toMatch(/planted-secret|internal-host|127\.0\.0\.1/);
  expect(model.requests).toHaveLength(requests);
  // The server goes on.
  model.answer(says('Still here.'));
  expect(await replied(server)).toMatchObject({ status: 'DONE', text: 'Still here.' });
}

/** The fault may come a few times before it is given up. */
function always(script: Script): Script[] {
  return [script, script, script, script];
}

describe('when the server of the model', () => {
  test.each<[string, Script[], string, RegExp, number]>([
    ['refuses the key', [refuses(401, { body: secret })], '', /refused the key \(401\)/, 1],
    ['does not know the model', [refuses(404, { body: secret })], '', /does not know the model \(404\)/, 1],
    ['refuses the request', [refuses(400, { body: secret })], '', /refused the request \(400\)/, 1],
    ['redirects', [refuses(307, { headers: { location: '/elsewhere' } })], '', /refused the request \(307\)/, 1],
    ['is too busy for good', always(refuses(429, { body: secret })), '', /too much to do \(429\)/, 3],
    [
      'is too busy for longer than a user waits',
      always(refuses(429, { headers: { 'retry-after': '60' } })),
      '',
      /too much to do \(429\)/,
      1,
    ],
    ['fails for good', always(refuses(500, { body: 'x'.repeat(200_000) + key })), '', /failed \(500\)/, 3],
    ['says what is no stream', [refuses(200, { body: 'Welcome.' })], '', /broke off/, 1],
    [
      'sends a broken piece',
      [
        begins(textChunks('So far'), (response) =>
          response.end(`data: {"secret": "${key}\n\n${event(finishChunk('stop'))}`),
        ),
      ],
      'So far',
      /cannot be read/,
      1,
    ],
    [
      'sends a piece of another kind',
      [begins(textChunks('So far'), (response) => response.end(event({ choices: key })))],
      'So far',
      /cannot be read/,
      1,
    ],
    [
      'reports a fault',
      [begins(textChunks('So far'), (response) => response.end(event(secret)))],
      'So far',
      /reported a fault/,
      1,
    ],
    ['cuts the connection', [begins(textChunks('So far'), cuts)], 'So far', /broke off/, 1],
    ['ends too early', [begins(textChunks('So far'), (response) => response.end())], 'So far', /broke off/, 1],
    [
      'sends 100 MB in one piece',
      [floods(100_000_000, { start: event(textChunks('So far')[0]) })],
      'So far',
      /more at once than can be taken/,
      1,
    ],
    [
      'compresses its answer',
      [refuses(200, { headers: { 'content-encoding': 'gzip' }, body: 'not even that' })],
      '',
      /compressed its answer/,
      1,
    ],
    [
      'compresses why it refuses',
      [refuses(400, { headers: { 'content-encoding': 'gzip' }, body: 'not even that' })],
      '',
      /refused the request \(400\)/,
      1,
    ],
    ['answers nothing', [streams(finishChunk('stop'))], '', /empty answer/, 1],
    [
      'cuts the connection after a call',
      [calls('requestHandoff', '!', { text: ['So far'] }), begins([], cuts)],
      'So far',
      /broke off/,
      2,
    ],
  ])(
    '%s, the reply is an error with what was said so far, and tells no secret',
    async (_case, scripts, text, reason, requests) => {
      await expectFault(server, scripts, { text, reason, requests });
    },
  );

  test.each<[string, Script[], string]>([
    ['before it answers', [hangs], ''],
    ['in the middle', [begins(textChunks('So far'))], 'So far'],
  ])('hangs %s, the reply is an error with what was said so far', async (_case, scripts, text) => {
    await expectFault(impatient, scripts, { text, reason: /took too long/, requests: 1 });
  });
});

/** How the runtime alone replies. */
const reply = (url = model.url) => replyOfModel(url, key);

describe('a fault that passes is not seen', () => {
  test.each<[string, Script]>([
    ['too busy', refuses(429)],
    ['too busy, with a time to wait', refuses(429, { headers: { 'retry-after': '1' } })],
    ['failed', refuses(500)],
    ['a gateway without a server', refuses(502)],
    ['away for a moment', refuses(503, { headers: { 'retry-after': new Date(Date.now() + 1000).toUTCString() } })],
    ['a connection that is closed without an answer', (response) => response.socket?.destroy()],
  ])('%s', async (_case, fault) => {
    model.answer(fault, says('Here.'));
    expect(await reply()).toMatchObject({ text: 'Here.', error: undefined });
    expect(model.requests).toHaveLength(2);
  });

  test('a server that is only being started', async () => {
    const late = await new ModelServer().start();
    const { url } = late;
    await late.close();
    const running = reply(url);
    late.answer(says('Here.'));
    await late.start(Number(new URL(url).port));
    expect(await running).toMatchObject({ text: 'Here.', error: undefined });
    await late.close();
  });

  test('a call that has no name', async () => {
    model.answer(streams(...callChunks('', '{}'), ...textChunks('Here.'), finishChunk('stop')));
    expect(await reply()).toMatchObject({ text: 'Here.', error: undefined });
  });
});

test('a server that cannot be reached is one', async () => {
  const gone = await new ModelServer().start();
  const { url } = gone;
  await gone.close();
  expect((await reply(url)).error).toMatchObject({ message: "The model's server could not be reached." });
});

test('after the first part nothing is tried again', async () => {
  model.answer(begins(textChunks('So far'), cuts), says('Again.'));
  expect(await reply()).toMatchObject({ text: 'So far', error: { name: 'RuntimeError' } });
  expect(model.requests).toHaveLength(1);
});

test.each<[string, Script]>([
  ['is cut', begins(textChunks('So far'), cuts)],
  ['ends too early', begins(textChunks('So far'), (response) => response.end())],
  ['has a broken piece', begins(textChunks('So far'), (response) => response.end('data: {\n\n'))],
])('a text is never said to have ended when the answer %s', async (_case, script) => {
  model.answer(script);
  expect((await reply()).parts.at(-1)).toEqual({ type: 'text-delta', text: 'So far' });
});

test.each<[string, Script]>([
  ['a refusal', refuses(401, { body: secret })],
  ['a fault that is reported', begins([], (response) => response.end(event(secret)))],
  ['a broken piece', begins([], (response) => response.end(`data: {"said": "an-answer ${key}\n\n`))],
])('the log of %s has no key, and nothing that was asked or answered', async (_case, script) => {
  model.answer(script);
  const { error } = await reply();
  let line = '';
  createLogger({ plain: false, destination: { write: (text) => (line += text) } }).warn({ err: error }, 'failed');
  expect(line).toMatch(/caused by/);
  expect(line).not.toMatch(/planted-secret|hidden-prompt|How do I stop|an-answer/);
});

test('calls in more pieces at once than are compared with each other are too many', async () => {
  const piecesOf = (count: number) => Array.from({ length: count }, () => ({ index: 0, function: { arguments: ' ' } }));
  const answer = (count: number) =>
    streams(
      ...callChunks('requestHandoff', '{'),
      { choices: [{ delta: { tool_calls: piecesOf(count) } }] },
      { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: '}' } }] } }] },
      finishChunk('tool_calls'),
    );
  model.answer(answer(100), says('Here.'));
  expect(await reply()).toMatchObject({ text: 'Here.', error: undefined });
  model.answer(answer(101));
  expect((await reply()).error).toMatchObject({ message: 'The model called too many tools at once.' });
});

describe('a server that sends 100 MB', () => {
  const delta = (call: Record<string, unknown>) => event({ choices: [{ delta: { tool_calls: [call] } }] });
  const begun = delta({ index: 0, id: 'c', function: { name: 'requestHandoff' } });
  const manyCalls = Array.from({ length: 500 }, (_, index) =>
    delta({ index, id: `c${index}`, function: { name: 'f' } }),
  );
  const manyNameless = Array.from({ length: 500 }, (_, index) => delta({ index, function: { arguments: '{' } }));
  const long = 'x'.repeat(50_000);

  test.each<[string, Script]>([
    ['in one piece', floods(100 * MB, { start: 'data: {"choices":[{"delta":{"content":"' })],
    ['without a line', floods(100 * MB)],
    ['of lines without an event', floods(100 * MB, { piece: 'data: 1\n'.repeat(5000) })],
    [
      'in the arguments of one call',
      floods(100 * MB, { start: begun, piece: delta({ index: 0, function: { arguments: 'x'.repeat(50_000) } }) }),
    ],
    ['of calls', floods(100 * MB, { piece: manyCalls.join('') })],
    ['of calls without a name', floods(100 * MB, { piece: manyNameless.join('') })],
    ['of arguments without a call', floods(100 * MB, { piece: delta({ index: 0, function: { arguments: long } }) })],
    ['of a refusal', floods(100 * MB, { start: '{', status: 400 })],
  ])('%s is cut off early', async (_case, script) => {
    const { error, sent, peak } = await flooded(model, key, script);
    expect(error).toMatchObject({ name: 'RuntimeError' });
    // Most of it stands in the buffers of the two sockets.
    expect(sent).toBeLessThan(40 * MB);
    expect(peak).toBeLessThan(80 * MB);
  });
});
