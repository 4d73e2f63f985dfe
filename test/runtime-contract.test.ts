import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { remoteAgent } from '../examples/remote-agent.ts';
import type { Clock } from '../src/agents/knowledge/clock.ts';
import { knowledgeRuntime } from '../src/agents/knowledge/runtime.ts';
import { modelRuntime } from '../src/agents/model/runtime.ts';
import { partsOf, type ReplyPart, type Runtime, type Turn } from '../src/agents/runtime.ts';
import { Draft } from '../src/generation/draft.ts';
import { decodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { ask } from './harness/client.ts';
import { createConversation, readMessage, send, stop } from './harness/commands.ts';
import { replyEvents } from './harness/events.ts';
import {
  begins,
  finishChunk,
  ModelServer,
  refuses,
  says,
  type Script,
  streams,
  textChunks,
} from './harness/model-server.ts';
import { record } from './harness/recording.ts';
import { createAgent } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';
import { replyOf, said, turnOf } from './harness/turn.ts';
import { schemas } from './harness/schemas.ts';

/** What is answered depends on what is asked: `say: …` that text, `hang: …` after it, `fail: …` with a fault that says it. */
interface Wish {
  does: 'say' | 'hang' | 'fail';
  text: string;
}

function wishOf(question: string): Wish {
  const [, does, text = ''] = /^(say|hang|fail): (.*)$/s.exec(question) ?? [];
  return { does: does === 'hang' || does === 'fail' ? does : 'say', text };
}

/** The text in pieces that cut its longer characters. */
function pieces(text: string): string[] {
  return text.match(/[^]{1,3}/g) ?? [];
}

const modelScript: Script = (response, request) => {
  const question = request.body.messages?.findLast(({ role }) => role === 'user')?.content;
  // What was asked before without an answer stands above it.
  const { does, text } = wishOf(String(question).split('\n\n').at(-1) ?? '');
  const script = {
    say: streams(...textChunks(...pieces(text)), finishChunk('stop')),
    hang: begins(textChunks(...pieces(text))),
    fail: refuses(400, { body: { error: { message: text } } }),
  }[does];
  script(response, request);
};

const serviceScript: Script = (response, request) => {
  const history = request.body.history as Turn['history'];
  const { does, text } = wishOf(history.findLast(({ role }) => role === 'USER')?.text ?? '');
  if (does === 'fail') return void response.writeHead(500).end(text);
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += 5) response.write(bytes.subarray(from, from + 5));
  if (does === 'say') response.end();
};

/** A clock that has no time to lose, or all of it once somebody is to wait for a word that does not come. */
function clockOf(question: () => string): Clock {
  let now = 0;
  let sleeps = 0;
  return {
    now: () => now,
    sleep: async (milliseconds, signal) => {
      sleeps += 1;
      now += milliseconds;
      if (sleeps < 3 || wishOf(question()).does !== 'hang') return;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    },
  };
}

/** The knowledge runtime with a corpus that says what it is asked to. */
function wishfulKnowledge(): Runtime {
  const passage = { articleId: 'a', title: 'Wishes', heading: '', url: null, score: 1 };
  const search = async ({ query }: { query: string }) => {
    const { does, text } = wishOf(query);
    if (does === 'fail') throw new Error(text);
    return { passages: [{ ...passage, text }], near: [] };
  };
  const keepUnanswered = async () => undefined;
  const { parametersSchema } = knowledgeRuntime({ search, keepUnanswered });
  return {
    name: 'contract-knowledge',
    parametersSchema,
    reply: (turn, signal) => {
      const question = () => turn.history.findLast(({ role }) => role === 'USER')?.text ?? '';
      return knowledgeRuntime({ search, keepUnanswered, clock: clockOf(question) }).reply(turn, signal);
    },
  };
}

const modelServer = new ModelServer(modelScript);
const service = new ModelServer(serviceScript);
await Promise.all([modelServer.start(), service.start()]);
afterAll(() => Promise.all([modelServer.close(), service.close()]));

/** Notes the turns that a runtime was given, and how long after an abort it was still at work. */
class Watched implements Runtime {
  readonly name: string;
  readonly parametersSchema: Runtime['parametersSchema'];
  readonly turns: Turn[] = [];
  readonly lateness: number[] = [];
  private readonly runtime: Runtime;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    this.name = runtime.name;
    this.parametersSchema = runtime.parametersSchema;
  }

  async *reply(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    this.turns.push(turn);
    let abortedAt: number | undefined;
    signal.addEventListener('abort', () => (abortedAt = performance.now()), { once: true });
    try {
      yield* partsOf(this.runtime.reply(turn, signal));
    } finally {
      if (abortedAt !== undefined) this.lateness.push(performance.now() - abortedAt);
    }
  }
}

const subjects = [
  new Watched(wishfulKnowledge()),
  new Watched({
    ...modelRuntime({
      search: async () => ({ passages: [], near: [] }),
      schemas,
      logger: createLogger({ level: 'silent' }),
      allowPrivateAddresses: false,
      settings: { url: `${modelServer.url}/v1`, model: 'fake' },
    }),
    name: 'contract-model',
  }),
  new Watched(remoteAgent(service.url)),
];

/** Whatever the runtime adds, this is in its text. */
const text = 'Déjà vu 👩‍👩‍👧 漢字 𝒳! '.repeat(20).trim();

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && Object.isFrozen(Object.freeze(value))) {
    for (const item of Object.values(value)) frozen(item);
  }
  return value;
}

function asked(question: string): Turn {
  return frozen(turnOf({ history: [said('USER', question)], corpusId: 'corpus' }));
}

describe.each(subjects)('the runtime $name', (runtime) => {
  test('gives its parts in order to the end, and changes nothing of what it was given', async () => {
    const { parts, error } = await replyOf(runtime, asked(`say: ${text}`));
    expect(error).toBeUndefined();
    const draft = new Draft();
    for (const part of parts) draft.take(part);
    draft.assertFinished();
    expect(draft.fragments.at(-1)).toMatchObject({ kind: 'TEXT', status: 'DONE' });
    expect(draft.fragments.at(-1)?.text.toString()).toContain(text);
  });

  test('keeps replies apart that run at the same time', async () => {
    const replies = await Promise.all(['one', 'two', 'three'].map((word) => replyOf(runtime, asked(`say: ${word}`))));
    expect(replies.map((reply) => /one|two|three/.exec(reply.text)?.[0])).toEqual(['one', 'two', 'three']);
  });

  test('ends with the reason of an abort, before it has begun and in the middle of a text', async () => {
    const reason = new Error('stopped');
    expect(await replyOf(runtime, asked('say: a'), AbortSignal.abort(reason))).toEqual({
      parts: [],
      error: reason,
      text: '',
    });
    const controller = new AbortController();
    const begun: ReplyPart[] = [];
    const run = async () => {
      for await (const part of partsOf(runtime.reply(asked('hang: once upon a time'), controller.signal))) {
        begun.push(part);
        if (part.type === 'text-delta') setImmediate(() => controller.abort(reason));
      }
    };
    await expect(run()).rejects.toBe(reason);
    expect(begun.at(-1)?.type).toBe('text-delta');
  });

  test('ends when its reader leaves', async () => {
    const controller = new AbortController();
    for await (const part of partsOf(runtime.reply(asked('hang: once upon a time'), controller.signal))) {
      if (part.type === 'text-delta') break;
    }
    expect(controller.signal.aborted).toBe(false);
  });

  test('has a JSON Schema for its parameters that describes each and refuses others', () => {
    const validate = new Ajv2020({ strict: true }).compile(runtime.parametersSchema);
    expect(validate({})).toBe(true);
    expect(validate({ nobodyKnowsThis: 1 })).toBe(false);
    for (const property of Object.values(runtime.parametersSchema.properties ?? {}))
      expect(property).toMatchObject({ description: expect.stringMatching(/\.$/) });
  });
});

/** Says a part too many, or in the wrong place. */
const disorderly: Runtime = {
  name: 'disorderly',
  parametersSchema: { type: 'object' },
  async *reply({ history }) {
    yield* JSON.parse(history.at(-1)?.text ?? '[]') as ReplyPart[];
  },
};

const limit = 3;
const server = useServer({ runtimes: [...subjects, disorderly], config: { runtimeSilenceSeconds: limit } });
const agents = new Map<string, string>();

beforeAll(async () => {
  const { prisma } = server.services;
  const { id: corpusId } = await prisma.corpus.findFirstOrThrow();
  for (const { name } of [...subjects, disorderly]) {
    const agentId = await createAgent(server.services, name);
    await prisma.agent.update({ where: { id: decodeId('Agent', agentId) ?? '' }, data: { corpusId } });
    agents.set(name, agentId);
  }
});

async function begin(name: string, question: string) {
  const { conversation } = await createConversation(server, { agentId: agents.get(name), action: 'NONE' });
  return { conversationId: conversation.id, replyId: await goOn(conversation.id, question) };
}

async function goOn(conversationId: string, question: string): Promise<string> {
  const { reply } = await send(server, { conversationId, content: { text: question } });
  return reply?.id ?? '';
}

async function ended(replyId: string) {
  await record(replyEvents(server, { replyId })).ended();
  return readMessage(server, replyId);
}

describe.each(subjects)('a reply of the runtime $name', ({ name, turns, lateness }) => {
  test('is stored as it was said', async () => {
    const { replyId } = await begin(name, `say: ${text}`);
    const reply = await ended(replyId);
    expect(reply).toMatchObject({ status: 'DONE', errorDetail: null, text: expect.stringContaining(text) });
    expect(reply.text.isWellFormed()).toBe(true);
    expect(reply.fragments.map(({ status }) => status)).not.toContain('IN_PROGRESS');
  });

  test('rests on the history in its order', async () => {
    const { conversationId, replyId } = await begin(name, 'say: one');
    await ended(replyId);
    await ended(await goOn(conversationId, 'say: two'));
    await ended(await goOn(conversationId, 'say: three'));
    const history = turns.at(-1)?.history.map((message) => [message.role, /one|two|three/.exec(message.text)?.[0]]);
    expect(history).toEqual([
      ['USER', 'one'],
      ['AGENT', 'one'],
      ['USER', 'two'],
      ['AGENT', 'two'],
      ['USER', 'three'],
    ]);
  });

  test('that is stopped keeps its text, and its runtime is done at once', async () => {
    const { conversationId, replyId } = await begin(name, 'hang: once upon a time');
    const follower = record(replyEvents(server, { replyId }));
    await follower.until((events) => events.some(({ __typename }) => __typename === 'FragmentDelta'));
    const before = lateness.length;
    await stop(server, replyId);
    await expect.poll(() => lateness.length, { timeout: 10_000 }).toBeGreaterThan(before);
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'STOPPED', text: expect.stringMatching(/./) });
    console.log(`${name} ended ${(lateness.at(-1) ?? NaN).toFixed(1)} ms after it was aborted`);
    // Promised are 100 ms; a busy machine may take longer for anything.
    expect(lateness.at(-1)).toBeLessThan(1000);
    await follower.leave();
    expect(await ended(await goOn(conversationId, 'say: again'))).toMatchObject({ status: 'DONE' });
  });

  test('that fails is an error that tells no secret, and the conversation can go on', async () => {
    const { conversationId, replyId } = await begin(name, 'fail: planted-secret');
    const reply = await ended(replyId);
    expect(reply).toMatchObject({ status: 'ERROR', errorDetail: expect.stringMatching(/^The .*\.$/) });
    expect(JSON.stringify([reply.errorDetail, reply.text])).not.toContain('planted-secret');
    expect(await ended(await goOn(conversationId, 'say: again'))).toMatchObject({ status: 'DONE' });
  });
});

test('a runtime that hangs ends in an error with what it has said, once its time is over', async () => {
  const began = performance.now();
  const replies = await Promise.all(
    subjects.map(async ({ name }) => ended((await begin(name, 'hang: once upon a time')).replyId)),
  );
  expect(performance.now() - began).toBeGreaterThan(limit * 1000 * 0.9);
  for (const reply of replies) {
    expect(reply).toMatchObject({ status: 'ERROR', errorDetail: expect.stringContaining('too long') });
    expect(reply.text).toMatch(/on|Wishes/);
  }
});

const start: ReplyPart = { type: 'text-start' };
const hello: ReplyPart = { type: 'text-delta', text: 'Hello' };
const end: ReplyPart = { type: 'text-end' };
const finish: ReplyPart = { type: 'finish' };
const call: ReplyPart = { type: 'tool-call', callId: '1', name: 'f', args: {} };
const result: ReplyPart = { type: 'tool-result', callId: '1', response: null, failed: false };

test.each<[string, string, ReplyPart[]]>([
  ['a text inside another', 'Hello', [start, hello, start, end, finish]],
  ['text outside of one', '', [hello, finish]],
  ['an end of no text', '', [end, finish]],
  ['a call inside a text', 'Hello', [start, hello, call, end, finish]],
  ['a result of no call', '', [result, finish]],
  ['a call made twice', '', [call, result, call, finish]],
  ['a change of phase inside a text', 'Hello', [start, hello, { type: 'state-change', phase: 'p' }, end, finish]],
  ['an end inside a text', 'Hello', [start, hello, finish, end]],
  ['more after the end', 'Hello', [start, hello, end, finish, start, end]],
  ['no end', 'Hello', [start, hello, end]],
])('%s is refused, and what came before is kept', async (_case, kept, parts) => {
  const { replyId } = await begin('disorderly', JSON.stringify(parts));
  expect(await ended(replyId)).toMatchObject({
    status: 'ERROR',
    text: kept,
    errorDetail: expect.stringMatching(/^The agent's runtime .*\.$/),
  });
});

test('parts may come in lists, which are taken part by part', async () => {
  const lists = [[start, hello], hello, [], [end, call, result, start, hello], [end, finish]];
  const { replyId } = await begin('disorderly', JSON.stringify(lists));
  expect(await ended(replyId)).toMatchObject({ status: 'DONE', text: 'HelloHelloHello' });
  const broken = await begin('disorderly', JSON.stringify([[start, hello, start, hello, end], finish]));
  expect(await ended(broken.replyId)).toMatchObject({ status: 'ERROR', text: 'Hello' });
});

test('text that is not well-formed is made so', async () => {
  const { replyId } = await begin(
    'disorderly',
    JSON.stringify([
      start,
      { type: 'text-delta', text: 'a\ud83d' },
      { type: 'text-delta', text: '\udc4d\0b\ud83d' },
      end,
      finish,
    ]),
  );
  expect(await ended(replyId)).toMatchObject({ status: 'DONE', text: 'a👍b\ufffd' });
});

test('what was used is added up and told', async () => {
  modelServer.answer(says('Used.'));
  const usageOf = async (name: string) => {
    const { replyId } = await begin(name, 'say: Used.');
    await ended(replyId);
    const { message } = await ask<{ message: { usage: unknown } }>(
      server,
      'query ($id: ID!) { message(id: $id) { usage { inputTokens outputTokens } } }',
      { id: replyId },
    );
    return message.usage;
  };
  expect(await usageOf('contract-model')).toEqual({ inputTokens: 10, outputTokens: 1 });
  expect(await usageOf('contract-knowledge')).toBeNull();
});
