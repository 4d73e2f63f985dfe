import type { QueryConfig } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Pool } from '../src/db.ts';
import { loadTurn } from '../src/generation/turn.ts';
import { decodeId } from '../src/ids.ts';
import { ask } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const BUDGET = 64 * 1024;
const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime], config: { historyBytes: BUDGET } });
let agentId: string;
beforeAll(async () => {
  agentId = await createAgent(server.services, runtime.name);
});

async function conversationWith(...texts: string[]): Promise<string> {
  const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
  for (const text of texts) {
    await send(server, { conversationId: conversation.id, content: { text }, action: 'NONE' });
  }
  return conversation.id;
}

async function historyAt(conversationId: string, text: string, metadata = {}) {
  await send(server, { conversationId, content: { text }, metadata, onBusy: 'INTERRUPT' });
  const script = await runtime.replyTo(text);
  return script.turn.history.map((message) => message.text);
}

describe('what a reply is generated from', () => {
  test('is the whole of a conversation that fits', async () => {
    const id = await conversationWith('One.', 'Two.');
    expect(await historyAt(id, 'Three.')).toEqual(['One.', 'Two.', 'Three.']);
  });

  test('is the newest messages up to the budget, the last of which is cut and says so', async () => {
    const long = 'é'.repeat(15_000);
    const id = await conversationWith(long, `First ${long}`, `Second ${long}`, `Third ${long}`);
    const history = await historyAt(id, 'And now?');
    expect(history.map((text) => text.slice(0, 6))).toEqual(['First ', 'Second', 'Third ', 'And no']);
    const [cut = '', ...whole] = history;
    expect(whole).toEqual([`Second ${long}`, `Third ${long}`, 'And now?']);
    const [kept = '', mark] = cut.split('\n');
    expect(`First ${long}`.startsWith(kept)).toBe(true);
    const missing = Buffer.byteLength(`First ${long}`) - Buffer.byteLength(kept);
    expect(mark).toBe(`[Cut here: ${missing} more bytes are not shown.]`);
  });

  test('counts what goes with a message, and holds the newest whatever goes with it', async () => {
    const id = await conversationWith('Earlier.');
    expect(await historyAt(id, 'With a lot.', { a: 'x'.repeat(BUDGET - 1000) })).toEqual(['Earlier.', 'With a lot.']);
    expect(await historyAt(id, 'With more.', { a: 'x'.repeat(BUDGET - 20) })).toHaveLength(1);
  });

  test('is of one message at most the budget, however long it is', async () => {
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const text = 'm'.repeat(1024 * 1024);
    await send(server, { conversationId: conversation.id, content: { text } });
    // The runtime finds a reply by what its history ends with.
    const shown = `${'m'.repeat(BUDGET - 2)}\n[Cut here: ${text.length - BUDGET + 2} more bytes are not shown.]`;
    const script = await runtime.replyTo(shown);
    expect(script.turn.history).toHaveLength(1);
  });
});

test('no more than the budget is read from the database, whatever the messages hold', async () => {
  const { pool, storage } = server.services;
  const id = await conversationWith(...Array.from({ length: 5 }, () => 'v'.repeat(1024 * 1024)));
  const { reply } = await send(server, { conversationId: id, content: { text: 'How much?' } });
  // What the server asks by itself meanwhile does not count.
  const read: Promise<unknown>[] = [];
  const query = (config: QueryConfig) => {
    const result = pool.query(config);
    read.push(result);
    return result;
  };
  const counted = Object.create(pool, { query: { value: query } }) as Pool;
  const turn = await loadTurn({ pool: counted, storage }, decodeId('Message', reply?.id ?? '') ?? '', BUDGET);
  expect(turn?.history.map(({ text }) => text.slice(0, 3))).toEqual(['vvv', 'How']);
  const results = await Promise.all(read);
  const bytes = results.reduce((sum: number, result) => sum + JSON.stringify(result).length, 0);
  expect(bytes).toBeGreaterThan(BUDGET);
  expect(bytes).toBeLessThan(BUDGET + 20_000);
});

test('replies that interrupt each other over long messages are each given no more than the budget', async () => {
  const id = await conversationWith(...Array.from({ length: 5 }, () => 'w'.repeat(1024 * 1024)));
  const sends = Array.from(
    { length: 5 },
    (_, i) =>
      `s${i}: sendMessage(input: { conversationId: "${id}", content: { text: "Send ${i}" }, onBusy: INTERRUPT }) { __typename }`,
  );
  const sent = await ask<Record<string, { __typename: string }>>(server, `mutation { ${sends.join(' ')} }`);
  expect(Object.values(sent).every(({ __typename }) => __typename === 'SendMessagePayload')).toBe(true);
  const { turn } = await runtime.replyTo('Send 4');
  const bytes = turn.history.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  expect(bytes).toBeLessThan(BUDGET + 200);
});
