import { request } from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import { hashCredential } from '../src/access/api-keys.ts';
import type { ReplyPart, Runtime, Turn } from '../src/agents/runtime.ts';
import { decodeId, encodeId } from '../src/ids.ts';
import { ask, type Target } from './harness/client.ts';
import { Deferred } from './harness/deferred.ts';
import { playbook } from './harness/playbooks.ts';
import { addAgent } from './harness/products.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

/** Says one word, at once or when the test lets it, and remembers what it was asked to answer. */
class PatientRuntime implements Runtime {
  readonly name = 'patient';
  readonly parametersSchema = {};
  readonly asked: string[] = [];
  private readonly waiting = new Map<string, Deferred>();
  private readonly beginning = new Map<string, Deferred>();

  /** Resolves when a reply to this text has begun. */
  begun(text: string): Promise<void> {
    const deferred = this.beginning.get(text) ?? new Deferred();
    this.beginning.set(text, deferred);
    return deferred.promise;
  }

  /** Replies to this text end only once the returned function is called. */
  holdBack(text: string): () => void {
    const deferred = new Deferred();
    this.waiting.set(text, deferred);
    return () => deferred.resolve();
  }

  async *reply({ history }: Turn): AsyncGenerator<ReplyPart, void> {
    const text = history.findLast(({ role }) => role === 'USER')?.text ?? '';
    this.asked.push(text);
    this.beginning.get(text)?.resolve();
    yield { type: 'text-start' };
    yield { type: 'text-delta', text: 'Yes.' };
    yield { type: 'text-end' };
    await this.waiting.get(text)?.promise;
    yield { type: 'finish' };
  }
}

const runtime = new PatientRuntime();
const server = useServer({ runtimes: [runtime] });
let agentId: string;

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'patient', playbooks: [playbook('support', 'closing')] });
});

type Input = Record<string, unknown>;

interface Answer {
  __typename: string;
  detail?: string;
  cursor?: string;
  conversation?: { id: string };
  message?: { id: string } | null;
  reply?: { id: string } | null;
}

const selections = {
  createConversation: 'message { id } reply { id }',
  sendMessage: 'message { id } reply { id }',
  sendControl: 'message { id } reply { id }',
  addAgentMessage: 'message { id }',
  regenerateReply: 'reply { id }',
};

type Mutation = keyof typeof selections;

function documentOf(mutation: Mutation): string {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}`;
  return `mutation ($input: ${type}Input!) {
    result: ${mutation}(input: $input) {
      __typename
      ... on ConversationPayload { cursor conversation { id } }
      ... on ${type}Payload { ${selections[mutation]} }
      ... on UserError { detail }
    }
  }`;
}

async function give(mutation: Mutation, input: Input, target: Target = server): Promise<Answer> {
  return (await ask<{ result: Answer }>(target, documentOf(mutation), { input })).result;
}

let count = 0;
const unique = (text: string) => `${text} (${(count += 1)})`;

async function newConversation(input: Input = {}): Promise<string> {
  const { conversation } = await give('createConversation', { agentId, action: 'NONE', ...input });
  return conversation?.id ?? '';
}

/** A conversation with a reply that has ended. */
async function answered(): Promise<{ conversationId: string; replyId: string }> {
  const conversationId = await newConversation();
  const { reply } = await give('sendMessage', { conversationId, content: { text: 'First?' }, awaitReply: true });
  return { conversationId, replyId: reply?.id ?? '' };
}

async function whenRepliesHaveEnded(conversationId: string): Promise<void> {
  const { conversation } = await ask<{ conversation: { runningReply: { id: string } | null } }>(
    server,
    'query ($id: ID!) { conversation(id: $id) { runningReply { id } } }',
    { id: conversationId },
  );
  const id = conversation.runningReply?.id;
  if (id) await ask(server, `mutation ($id: ID!) { stopReply(input: { replyId: $id }) { __typename } }`, { id });
}

/** The messages of a conversation in their order, each with its fragments' texts. */
async function transcript(conversationId: string): Promise<{ id: string; role: string; text: string }[]> {
  const { rows } = await server.services.pool.query<{ id: string; role: string; text: string }>(
    `SELECT id, role, coalesce((SELECT string_agg(text, '' ORDER BY index) FROM fragment WHERE message_id = id), '') AS text
      FROM message WHERE conversation_id = $1 ORDER BY position`,
    [decodeId('Conversation', conversationId)],
  );
  return rows.map((row) => ({ ...row, id: encodeId('Message', row.id) }));
}

async function logLength(conversationId: string): Promise<number> {
  return server.services.prisma.event.count({
    where: { conversationId: decodeId('Conversation', conversationId) ?? '' },
  });
}

const times = <T>(length: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length }, (_, i) => work(i)));

/** All answers are the same success; returns it. */
function theOne(answers: readonly Answer[]): Answer {
  const [first] = answers;
  expect(first?.__typename).toMatch(/Payload$/);
  for (const answer of answers) expect(answer).toEqual(first);
  return first ?? { __typename: 'nothing' };
}

describe('at once with one key', () => {
  test('100 sends make one message and one reply, and all get the same answer', async () => {
    const conversationId = await newConversation();
    const text = unique('Once, please.');
    const input = { conversationId, content: { text }, idempotencyKey: text };
    const release = runtime.holdBack(text);
    const { message, reply } = theOne(await times(100, () => give('sendMessage', input)));
    release();
    expect((await transcript(conversationId)).map(({ id }) => id)).toEqual([message?.id, reply?.id]);
    expect(await logLength(conversationId)).toBeGreaterThanOrEqual(3);
    await whenRepliesHaveEnded(conversationId);
    expect(await logLength(conversationId)).toBe(4);
    expect(runtime.asked.filter((asked) => asked === text)).toHaveLength(1);
  });

  test('20 sends that wait for the reply get it', async () => {
    const conversationId = await newConversation();
    const text = unique('Once, and I shall wait.');
    const input = { conversationId, content: { text }, idempotencyKey: text };
    // Whether it waits is not what a caller asks to have done.
    theOne(await times(20, (i) => give('sendMessage', { ...input, awaitReply: i % 2 === 0 })));
    expect((await transcript(conversationId)).map(({ text }) => text)).toEqual([text, 'Yes.']);
    expect(runtime.asked.filter((asked) => asked === text)).toHaveLength(1);
  });

  test.each(['REJECT', 'INTERRUPT'])('20 sends that nobody answers, %s, make one message', async (onBusy) => {
    const conversationId = await newConversation();
    const input = {
      conversationId,
      content: { text: 'A note.' },
      action: 'NONE',
      onBusy,
      idempotencyKey: unique('note'),
    };
    theOne(await times(20, () => give('sendMessage', input)));
    expect(await transcript(conversationId)).toHaveLength(1);
    expect(await logLength(conversationId)).toBe(2);
  });

  test('20 sends that interrupt a reply interrupt that one, and not the reply of their twin', async () => {
    const conversationId = await newConversation();
    const [before, text] = [unique('Slowly!'), unique('Stop, something else!')];
    runtime.holdBack(before);
    const release = runtime.holdBack(text);
    await give('sendMessage', { conversationId, content: { text: before } });
    const input = { conversationId, content: { text }, onBusy: 'INTERRUPT', idempotencyKey: text };
    const { reply } = theOne(await times(20, () => give('sendMessage', input)));
    expect(await transcript(conversationId)).toHaveLength(4);
    expect(await logLength(conversationId)).toBe(6);
    const row = await server.services.prisma.message.findUnique({
      where: { id: decodeId('Message', reply?.id ?? '') ?? '' },
    });
    expect(row?.status).toBe('IN_PROGRESS');
    release();
  });

  test('20 conversations are one', async () => {
    const text = unique('Hello!');
    const input = { agentId, message: { content: { text } }, idempotencyKey: text };
    const before = await countRows(server.services.pool);
    const { conversation, message, reply } = theOne(await times(20, () => give('createConversation', input)));
    const after = await countRows(server.services.pool);
    expect(after).toMatchObject({ conversation: (before.conversation ?? 0) + 1, message: (before.message ?? 0) + 2 });
    expect((await transcript(conversation?.id ?? '')).map(({ id }) => id)).toEqual([message?.id, reply?.id]);
    expect(runtime.asked.filter((asked) => asked === text)).toHaveLength(1);
  });

  test('20 messages of an agent are one', async () => {
    const conversationId = await newConversation();
    const input = { conversationId, content: { text: 'From elsewhere.' }, idempotencyKey: unique('agent') };
    const { message } = theOne(await times(20, () => give('addAgentMessage', input)));
    expect(await transcript(conversationId)).toEqual([{ id: message?.id, role: 'AGENT', text: 'From elsewhere.' }]);
    expect(await logLength(conversationId)).toBe(2);
  });

  test('20 control messages are one, with one change of state and one reply', async () => {
    const { conversationId } = await answered();
    const stateAfter = { playbook: 'support', phase: 'closing' };
    const input = { conversationId, action: 'GENERATE_REPLY', stateAfter, idempotencyKey: unique('control') };
    const { message, reply } = theOne(await times(20, () => give('sendControl', input)));
    expect((await transcript(conversationId)).slice(2)).toMatchObject([{ id: message?.id }, { id: reply?.id }]);
    await whenRepliesHaveEnded(conversationId);
    expect(await logLength(conversationId)).toBe(8);
  });

  test('20 new replies are one', async () => {
    const { conversationId, replyId } = await answered();
    const input = { replyId, idempotencyKey: unique('again') };
    const { reply } = theOne(await times(20, () => give('regenerateReply', input)));
    expect((await transcript(conversationId)).slice(1)).toMatchObject([{ id: replyId }, { id: reply?.id }]);
    await whenRepliesHaveEnded(conversationId);
    expect(await logLength(conversationId)).toBe(6);
  });
});

const content = { text: 'The same.' };

describe('a key that was used', () => {
  test.each<[Mutation, Input, Input]>([
    ['sendMessage', { content }, { content: { text: 'Another.' } }],
    ['sendMessage', { content }, { content, metadata: { more: true } }],
    ['sendMessage', { content }, { content, action: 'NONE' }],
    ['sendMessage', { content }, { content, expectedVersion: 1 }],
    ['addAgentMessage', { content }, { content, author: { kind: 'HUMAN_AGENT' } }],
    ['sendControl', { content }, { content, stateAfter: { playbook: 'support' } }],
  ])('is refused for another %s: %j, then %j', async (mutation, first, second) => {
    const conversationId = await newConversation();
    const key = { conversationId, idempotencyKey: unique('mismatch') };
    expect((await give(mutation, { ...key, ...first })).__typename).toMatch(/Payload$/);
    await whenRepliesHaveEnded(conversationId);
    const before = await logLength(conversationId);
    expect(await give(mutation, { ...key, ...second })).toMatchObject({ __typename: 'IdempotencyMismatchError' });
    expect(await logLength(conversationId)).toBe(before);
  });

  test('is refused for another conversation, another command and another reply', async () => {
    const { conversationId, replyId } = await answered();
    const key = { idempotencyKey: unique('mismatch') };
    await give('sendMessage', { ...key, conversationId, content, action: 'NONE' });
    const others: [Mutation, Input][] = [
      ['sendMessage', { conversationId: await newConversation(), content, action: 'NONE' }],
      ['addAgentMessage', { conversationId, content }],
      ['sendControl', { conversationId, content }],
      ['regenerateReply', { replyId }],
      ['createConversation', { agentId, message: { content } }],
    ];
    const before = await countRows(server.services.pool);
    for (const [mutation, input] of others) {
      expect(await give(mutation, { ...key, ...input })).toMatchObject({ __typename: 'IdempotencyMismatchError' });
    }
    expect(await countRows(server.services.pool)).toEqual(before);
  });

  test('is the same input however its fields are ordered', async () => {
    const conversationId = await newConversation();
    const key = { conversationId, content, action: 'NONE', idempotencyKey: unique('order') };
    const first = await give('sendMessage', { ...key, metadata: { a: 1, b: { c: [1, 2], d: null } } });
    const again = await give('sendMessage', { ...key, metadata: { b: { d: null, c: [1, 2] }, a: 1 } });
    theOne([first, again]);
    const turned = await give('sendMessage', { ...key, metadata: { a: 1, b: { c: [2, 1], d: null } } });
    expect(turned.__typename).toBe('IdempotencyMismatchError');
  });

  test('belongs to the caller who used it: another key of the organization begins anew', async () => {
    const colleague = await newTarget();
    const conversationId = await newConversation();
    const input = { conversationId, content, action: 'NONE', idempotencyKey: unique('mine') };
    const mine = await give('sendMessage', input);
    const theirs = await give('sendMessage', input, colleague);
    expect(theirs.__typename).toBe('SendMessagePayload');
    expect(theirs.message?.id).not.toBe(mine.message?.id);
    const different = { ...input, content: { text: 'Something else.' }, idempotencyKey: unique('theirs') };
    expect((await give('sendMessage', different, colleague)).__typename).toBe('SendMessagePayload');
    theOne([mine, await give('sendMessage', input)]);
    theOne([theirs, await give('sendMessage', input, colleague)]);
    expect(await transcript(conversationId)).toHaveLength(3);
  });

  test('belongs to its organization: another one has never heard of it, nor of the conversation', async () => {
    const foreigner = await newTarget('Another organization');
    const input = { message: { content }, action: 'NONE', idempotencyKey: unique('ours') };
    const ours = await give('createConversation', input);
    const theirs = await give('createConversation', input, foreigner);
    expect(theirs.__typename).toBe('CreateConversationPayload');
    expect(theirs.conversation?.id).not.toBe(ours.conversation?.id);

    const conversationId = ours.conversation?.id ?? '';
    const note = { conversationId, content, action: 'NONE', idempotencyKey: unique('ours') };
    await give('sendMessage', note);
    expect((await give('sendMessage', note, foreigner)).__typename).toBe('NotFoundError');
  });
});

describe('an attempt that failed is not remembered', () => {
  test('because a reply was running: it succeeds once the reply has ended', async () => {
    const conversationId = await newConversation();
    const text = unique('Take your time.');
    const release = runtime.holdBack(text);
    const running = give('sendMessage', { conversationId, content: { text }, idempotencyKey: text, awaitReply: true });
    const { reply } = await give('sendMessage', { conversationId, content: { text }, idempotencyKey: text });
    const input = { conversationId, content: { text: 'And now?' }, idempotencyKey: unique('retry') };
    for (const attempt of await times(5, () => give('sendMessage', input))) {
      expect(attempt.__typename).toBe('ConversationBusyError');
    }
    release();
    expect((await running).reply?.id).toBe(reply?.id);
    theOne([await give('sendMessage', input), await give('sendMessage', input)]);
  });

  test.each<[failure: string, Mutation, faulty: Input, mended: Input]>([
    ['VersionConflictError', 'sendMessage', { content, expectedVersion: 9 }, { expectedVersion: null }],
    ['InvalidInputError', 'addAgentMessage', { content: { text: '' } }, { content }],
    ['NotFoundError', 'addAgentMessage', { content, inReplyToId: 'msg_' }, { inReplyToId: null }],
    ['InvalidInputError', 'sendControl', {}, { content }],
  ])('because of a %s: it succeeds once the input is mended', async (failure, mutation, faulty, mended) => {
    const input = { conversationId: await newConversation(), idempotencyKey: unique('retry'), ...faulty };
    expect((await give(mutation, input)).__typename).toBe(failure);
    expect((await give(mutation, { ...input, ...mended })).__typename).toMatch(/Payload$/);
  });

  test('because of the handoff: it succeeds once the handoff is over', async () => {
    const { conversationId, replyId } = await answered();
    const id = { id: conversationId };
    await ask(server, 'mutation ($id: ID!) { startHandoff(input: { conversationId: $id }) { __typename } }', id);
    const input = { replyId, idempotencyKey: unique('retry') };
    expect((await give('regenerateReply', input)).__typename).toBe('HandedOffError');
    await ask(server, 'mutation ($id: ID!) { endHandoff(input: { conversationId: $id }) { __typename } }', id);
    theOne([await give('regenerateReply', input), await give('regenerateReply', input)]);
  });
});

describe('after the connection of the first attempt has died', () => {
  const body = (input: Input) => JSON.stringify({ query: documentOf('sendMessage'), variables: { input } });
  const headers = () => ({ 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` });

  /** Sends the whole request and hangs up, without a look at the answer. */
  const hangUp = (input: Input) =>
    new Promise<void>((resolve) => {
      const attempt = request(`${server.url}/graphql`, { method: 'POST', headers: headers() });
      attempt.on('error', () => undefined);
      attempt.on('close', () => resolve());
      attempt.end(body(input), () => attempt.destroy());
    });

  /** Waits for the reply in vain: aborts once the reply has begun. */
  const abort = async (input: Input, text: string) => {
    const controller = new AbortController();
    const { signal } = controller;
    const init = { method: 'POST', headers: headers(), body: body({ ...input, awaitReply: true }), signal };
    const attempt = fetch(`${server.url}/graphql`, init);
    await runtime.begun(text);
    controller.abort();
    await expect(attempt).rejects.toThrow(/abort/);
  };

  test('hung up on, perhaps before it was done: the repeat makes no second message, and gets its answer', async () => {
    await times(10, async (i) => {
      const conversationId = await newConversation();
      const text = unique('Are you there?');
      const input = { conversationId, content: { text }, idempotencyKey: text };
      const dying = hangUp(input);
      if (i % 2 === 0) await dying;
      const { message, reply } = theOne(await times(3, () => give('sendMessage', input)));
      await dying;
      expect((await transcript(conversationId)).map(({ id }) => id)).toEqual([message?.id, reply?.id]);
      await whenRepliesHaveEnded(conversationId);
      expect(await logLength(conversationId)).toBe(4);
    });
  });

  test('aborted while it waited for the reply: the repeat gets the reply that had begun, which goes on', async () => {
    const conversationId = await newConversation();
    const text = unique('Do not hurry.');
    const input = { conversationId, content: { text }, idempotencyKey: text };
    const release = runtime.holdBack(text);
    await abort(input, text);
    const begun = await transcript(conversationId);
    const { message, reply } = theOne(await times(3, () => give('sendMessage', input)));
    expect(begun.map(({ id }) => id)).toEqual([message?.id, reply?.id]);
    release();
    theOne([await give('sendMessage', { ...input, awaitReply: true }), await give('sendMessage', input)]);
    expect(await transcript(conversationId)).toMatchObject([{ text }, { text: 'Yes.' }]);
    expect(runtime.asked.filter((asked) => asked === text)).toHaveLength(1);
  });
});

/** Another key: of the first organization, or of a new one with an agent. */
async function newTarget(organization?: string): Promise<Target> {
  const { prisma, newId } = server.services;
  const first = await prisma.organization.findFirstOrThrow({ orderBy: { createdAt: 'asc' } });
  let organizationId = first.id;
  if (organization !== undefined) {
    organizationId = newId();
    const defaultAgentId = newId();
    await prisma.organization.create({ data: { id: organizationId, name: organization } });
    await prisma.agent.create({ data: { id: defaultAgentId, organizationId, name: 'Theirs', runtime: 'patient' } });
    await prisma.organization.update({ where: { id: organizationId }, data: { defaultAgentId } });
  }
  const key = unique('another-key-for-this-test').replace(/\W/g, '-');
  await prisma.apiKey.create({
    data: { id: newId(), organizationId, name: 'Another', secretHash: hashCredential(key) },
  });
  return { url: server.url, key };
}
