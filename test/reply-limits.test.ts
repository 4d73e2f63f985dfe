import { beforeAll, describe, expect, test } from 'vitest';
import { addContact, firstOrganization, mintToken } from './harness/access.ts';
import { graphql, RefusedError, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({
  runtimes: [runtime],
  config: {
    rateLimitPerContact: 0,
    maxRunningRepliesPerContact: 2,
    replyLimitPerContact: 5,
    modelTokenLimitPerContact: 1000,
  },
});

let agentId: string;

beforeAll(async () => {
  agentId = await createAgent(server.services, 'scripted');
});

interface Person {
  target: Target;
  /** Another conversation of the person. */
  converse(): Promise<string>;
}

async function newPerson(grants: readonly string[] = []): Promise<Person> {
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  return {
    target: { url: server.url, key: await mintToken(server, { contactId, grants }) },
    converse: async () => (await createConversation(server, { agentId, contactId, action: 'NONE' })).conversation.id,
  };
}

let count = 0;

/** Sends something that nobody has said before. */
async function say({ target }: Person, conversationId: string, input = 'onBusy: INTERRUPT') {
  const text = `Question ${(count += 1)}?`;
  const { status, errors } = await graphql<unknown>(
    target,
    `mutation {
      sendMessage(input: { conversationId: "${conversationId}", content: { text: "${text}" }, ${input} }) { __typename }
    }`,
  );
  const { code, retryAfter } = errors?.[0]?.extensions ?? {};
  return { text, outcome: [status, code], retryAfter };
}

const taken = [200, undefined];
const refused = [429, 'RATE_LIMITED'];

describe('with a client token', () => {
  test('so many replies run at a time, in all conversations of the person', async () => {
    const person = await newPerson();
    const [one, two, three] = [await person.converse(), await person.converse(), await person.converse()];
    const first = await say(person, one);
    expect([first.outcome, (await say(person, two)).outcome]).toEqual([taken, taken]);
    const third = await say(person, three);
    expect([third.outcome, third.retryAfter]).toEqual([refused, 1]);
    // What is interrupted is not in the way, and what needs no reply needs no place.
    expect((await say(person, three, 'action: NONE')).outcome).toEqual(taken);
    expect((await say(person, two)).outcome).toEqual(taken);
    const stranger = await newPerson();
    expect((await say(stranger, await stranger.converse())).outcome).toEqual(taken);
    const script = await runtime.replyTo(first.text);
    await script.begin('An answer.');
    await script.end();
    await expect.poll(async () => (await say(person, three)).outcome).toEqual(taken);
  });

  test('so many replies begin in a minute', async () => {
    const person = await newPerson();
    const conversationId = await person.converse();
    for (let reply = 0; reply < 5; reply += 1) expect((await say(person, conversationId)).outcome).toEqual(taken);
    const { outcome, retryAfter } = await say(person, conversationId);
    expect([outcome, retryAfter]).toEqual([refused, expect.any(Number)]);
    expect((await say(person, conversationId, 'action: NONE')).outcome).toEqual(taken);
    // Its operator may still have it answered.
    await send(server, { conversationId, content: { text: 'An answer, please.' }, onBusy: 'INTERRUPT' });
  });

  test('a reply counts, however it would begin, and over WebSocket too', async () => {
    const person = await newPerson(['START_CONVERSATION', 'REGENERATE']);
    const id = await person.converse();
    for (let reply = 0; reply < 5; reply += 1) expect((await say(person, id)).outcome).toEqual(taken);
    const { data } = await graphql<{ conversation: { runningReply: { id: string } } }>(
      person.target,
      `{ conversation(id: "${id}") { runningReply { id } } }`,
    );
    for (const [field, code] of [
      [`sendMessage(input: { conversationId: "${id}", content: { text: "And now?" } })`, 'RATE_LIMITED'],
      ['createConversation(input: { message: { content: { text: "Hello?" } } })', 'RATE_LIMITED'],
      ['createConversation(input: {})', 'RATE_LIMITED'],
      [`regenerateReply(input: { replyId: "${data?.conversation.runningReply.id}" })`, 'RATE_LIMITED'],
      ['createConversation(input: { action: NONE })', undefined],
    ] as const) {
      const operation = `mutation { ${field} { __typename } }`;
      const { errors } = await graphql<unknown>(person.target, operation);
      expect([field, errors?.[0]?.extensions?.code]).toEqual([field, code]);
      expect([field, await codeOverWebSocket(person.target, operation)]).toEqual([field, code]);
    }
  });

  test('no reply begins once those before it have used up the tokens of the minute', async () => {
    const person = await newPerson();
    const conversationId = await person.converse();
    for (const inputTokens of [400, 700]) {
      const { text, outcome } = await say(person, conversationId);
      expect(outcome).toEqual(taken);
      const script = await runtime.replyTo(text);
      await script.begin('An answer.');
      await script.say({ type: 'usage', inputTokens, outputTokens: 1 });
      await script.end();
      await expect.poll(() => isRunning(conversationId)).toBe(false);
    }
    await expect.poll(async () => (await say(person, conversationId, 'onBusy: REJECT')).outcome).toEqual(refused);
    const [{ key, spent } = {}] = await tokensOf();
    expect([key?.startsWith('tokens:contact:'), spent]).toEqual([true, 1000]);
  });
});

async function codeOverWebSocket(target: Target, operation: string): Promise<unknown> {
  try {
    await subscribeWs<unknown>(target, operation).next();
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.errors[0]?.extensions?.code;
    throw error;
  }
}

async function isRunning(conversationId: string): Promise<boolean> {
  const { data } = await graphql<{ conversation: { runningReply: unknown } }>(
    server,
    `{ conversation(id: "${conversationId}") { runningReply { id } } }`,
  );
  return data?.conversation.runningReply !== null;
}

async function tokensOf(): Promise<{ key: string; spent: number }[]> {
  const { rows } = await server.services.pool.query<{ key: string; spent: number }>(
    `SELECT key, spent FROM rate_window WHERE key LIKE 'tokens:%'`,
  );
  return rows;
}
