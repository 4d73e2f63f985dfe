import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeId } from '../src/ids.ts';
import { RefusedError, type Target } from './harness/client.ts';
import { createConversation, isSent, readMessage, type Refused, send, trySend } from './harness/commands.ts';
import { countRows, readConversationRow, readLog } from './harness/rows.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let other: Awaited<ReturnType<typeof startServer>>;
let agentId: string;

beforeAll(async () => {
  other = await startServer(server.databaseUrl, { runtimes: [runtime] });
  agentId = await createAgent(server.services, 'scripted');
});
afterAll(() => other.close());

async function idleConversation(): Promise<string> {
  const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
  return conversation.id;
}

/** A conversation whose reply does not end; its version is 3. */
async function busyConversation(): Promise<{ conversationId: string; replyId: string }> {
  const conversationId = await idleConversation();
  const { reply } = await send(server, { conversationId, content: { text: 'Take your time.' } });
  return { conversationId, replyId: reply?.id ?? '' };
}

const uuidOf = (id: string) => decodeId('Conversation', id) ?? '';

function outcomes(results: { __typename: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { __typename } of results) counts[__typename] = (counts[__typename] ?? 0) + 1;
  return counts;
}

/** As a client does it: what the server had no time for was not done, and is sent again. */
async function sendAtLast(target: Target, input: Record<string, unknown>): ReturnType<typeof trySend> {
  try {
    return await trySend(target, input);
  } catch (error) {
    const isTooMuch = error instanceof RefusedError && error.errors[0]?.extensions?.code === 'SERVICE_UNAVAILABLE';
    if (!isTooMuch) throw error;
    return sendAtLast(target, input);
  }
}

describe.each<[string, () => Target[]]>([
  ['one server', () => [server]],
  ['two servers', () => [server, other]],
])('many at once, on %s', (_name, targets) => {
  const toAll = (count: number, input: (i: number) => Record<string, unknown>) =>
    Promise.all(
      Array.from({ length: count }, (_, i) => sendAtLast(targets()[i % targets().length] ?? server, input(i))),
    );

  test('of 200 sends exactly one wins, and each loser is told which reply is in its way', async () => {
    const conversationId = await idleConversation();
    const results = await toAll(200, (i) => ({ conversationId, content: { text: `Me first! ${i}` } }));
    expect(outcomes(results)).toEqual({ SendMessagePayload: 1, ConversationBusyError: 199 });

    const winner = results.find(isSent);
    for (const { runningReply, currentVersion } of results.filter((result): result is Refused => !isSent(result))) {
      expect({ runningReply, currentVersion }).toEqual({ runningReply: { id: winner?.reply?.id }, currentVersion: 3 });
    }
    expect(await readLog(server.services.pool, uuidOf(conversationId))).toEqual([
      { version: 1, type: 'ConversationCreated' },
      { version: 2, type: 'MessageCreated' },
      { version: 3, type: 'MessageCreated' },
    ]);
    const messages = await server.services.prisma.message.groupBy({
      by: ['role', 'status'],
      where: { conversationId: uuidOf(conversationId) },
      _count: true,
    });
    expect(messages).toHaveLength(2);
    expect(messages).toContainEqual({ role: 'USER', status: 'DONE', _count: 1 });
    expect(messages).toContainEqual({ role: 'AGENT', status: 'IN_PROGRESS', _count: 1 });
  });

  test('of 50 changes to the same version exactly one wins, and each loser is told the version it lost to', async () => {
    const conversationId = await idleConversation();
    const input = { conversationId, action: 'NONE', expectedVersion: 1 };
    const results = await toAll(50, (i) => ({ ...input, content: { text: `Only at version 1. ${i}` } }));
    expect(outcomes(results)).toEqual({ SendMessagePayload: 1, VersionConflictError: 49 });
    for (const { expectedVersion, currentVersion } of results.filter((result): result is Refused => !isSent(result))) {
      expect({ expectedVersion, currentVersion }).toEqual({ expectedVersion: 1, currentVersion: 2 });
    }
    expect(await readLog(server.services.pool, uuidOf(conversationId))).toHaveLength(2);
  });

  test('50 unconditional messages are all taken, in one order without gaps', async () => {
    const conversationId = await idleConversation();
    const results = await toAll(50, (i) => ({
      conversationId,
      action: 'NONE',
      content: { text: `Each counts. ${i}` },
    }));
    expect(outcomes(results)).toEqual({ SendMessagePayload: 50 });
    const positions = results.filter(isSent).map(({ message }) => message.position);
    expect(positions.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    const log = await readLog(server.services.pool, uuidOf(conversationId));
    expect(log.map(({ version }) => version)).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
  });
});

describe('expectedVersion', () => {
  test('that is right lets the message in, also right after another change', async () => {
    const conversationId = await idleConversation();
    const first = await send(server, { conversationId, content: { text: '1' }, action: 'NONE', expectedVersion: 1 });
    expect(first.conversation.version).toBe(2);
    const second = await send(server, { conversationId, content: { text: '2' }, action: 'NONE', expectedVersion: 2 });
    expect(second.conversation.version).toBe(3);
  });

  test.each([0, 1, 4, -1, 2 ** 31 - 1])(
    '%i, which is not the current one, is refused with the current one',
    async (expectedVersion) => {
      const conversationId = await idleConversation();
      for (const text of ['1', '2']) await send(server, { conversationId, content: { text }, action: 'NONE' });
      const result = await trySend(server, { conversationId, content: { text: 'Late.' }, expectedVersion });
      expect(result).toMatchObject({ __typename: 'VersionConflictError', expectedVersion, currentVersion: 3 });
    },
  );
});

describe('a conversation with a running reply', () => {
  test.each([3, 2])('is busy first, whether the expected version %i is right or stale', async (expectedVersion) => {
    const { conversationId, replyId } = await busyConversation();
    const result = await trySend(server, { conversationId, content: { text: 'Now?' }, expectedVersion });
    const conversation = { id: conversationId, version: 3, runningReply: { id: replyId } };
    expect(result).toMatchObject({
      __typename: 'ConversationBusyError',
      runningReply: { id: replyId },
      currentVersion: 3,
      conversation,
    });
  });

  test('compares the expected version before it interrupts anything', async () => {
    const { conversationId, replyId } = await busyConversation();
    const input = { conversationId, content: { text: 'Stop, listen.' }, onBusy: 'INTERRUPT' };
    const refused = await trySend(server, { ...input, expectedVersion: 2 });
    expect(refused).toMatchObject({ __typename: 'VersionConflictError', expectedVersion: 2, currentVersion: 3 });
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'IN_PROGRESS' });

    const taken = await send(server, { ...input, expectedVersion: 3 });
    expect(taken.conversation).toMatchObject({ version: 6, runningReply: { id: taken.reply?.id } });
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'STOPPED' });
  });

  test('is free again when the reply has ended', async () => {
    const conversationId = await idleConversation();
    const text = 'Be brief.';
    const sending = send(server, { conversationId, content: { text }, awaitReply: true });
    const script = await runtime.replyTo(text);
    const busy = await trySend(server, { conversationId, content: { text: 'And this?' }, action: 'NONE' });
    expect(busy).toMatchObject({ __typename: 'ConversationBusyError' });
    await script.begin('Yes.');
    await script.end();
    expect((await sending).reply).toMatchObject({ status: 'DONE', text: 'Yes.' });
    await send(server, { conversationId, content: { text: 'And this?' }, action: 'NONE', expectedVersion: 4 });
  });
});

test('whoever loses has written nothing', async () => {
  const { conversationId } = await busyConversation();
  const idle = await idleConversation();
  const losers = [
    { conversationId, content: { text: 'Busy.' }, idempotencyKey: 'busy' },
    { conversationId, content: { text: 'Busy.' }, stateAfter: { systemMessage: 'Close.' }, action: 'NONE' },
    { conversationId, content: { text: 'Busy.' }, stateAfter: { playbook: 'none' }, onBusy: 'INTERRUPT' },
    {
      conversationId,
      content: { text: 'Stale.' },
      onBusy: 'INTERRUPT',
      expectedVersion: 1,
      idempotencyKey: 'interrupt',
    },
    { conversationId: idle, content: { text: 'Stale.' }, expectedVersion: 9, idempotencyKey: 'stale' },
  ];
  const { pool } = server.services;
  const state = async () => ({
    counts: await countRows(pool),
    rows: [await readConversationRow(pool, uuidOf(conversationId)), await readConversationRow(pool, uuidOf(idle))],
  });
  const before = await state();
  for (const input of losers) expect(isSent(await trySend(server, input))).toBe(false);
  expect(await state()).toEqual(before);
});
