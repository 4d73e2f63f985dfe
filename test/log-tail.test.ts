import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogTail } from '../src/conversations/lists/log-tail.ts';
import { decodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { send } from './harness/commands.ts';
import { useScriptedServer } from './harness/scripted-server.ts';

const { server, idle } = useScriptedServer();

beforeEach(() => {
  // It looks only when the test says.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('the end of the log tells of everything once, also of a writer that was overtaken before it committed', async () => {
  const { pool } = server.services;
  const conversations = await Promise.all(['slow', 'quick'].map(() => idle()));
  const [slow, quick] = conversations.map(({ id }) => decodeId('Conversation', id));
  const tail = new LogTail(pool, createLogger({ level: 'silent' }));
  const told: { conversationId: string; types: string[] }[] = [];
  const leave = await tail.subscribe((changes) => {
    for (const { conversationId, types } of changes) told.push({ conversationId, types });
  });
  const writer = await pool.connect();
  try {
    await writer.query('BEGIN');
    await writer.query(
      `INSERT INTO event (conversation_id, version, organization_id, type, actor)
        SELECT id, version + 1, organization_id, 'ConversationUpdated', '{"kind": "SYSTEM"}' FROM conversation WHERE id = $1`,
      [slow],
    );
    await send(server, {
      conversationId: conversations[1]?.id,
      content: { text: 'I was here first.' },
      action: 'NONE',
    });
    for (let looks = 0; looks < 3; looks += 1) await tail.look();
    // What came before might still be on its way.
    expect(told).toEqual([]);
    await writer.query('COMMIT');
  } finally {
    writer.release(true);
  }
  const looked = async () => {
    await tail.look();
    return told.length;
  };
  await expect.poll(looked, { timeout: 10_000 }).toBe(2);
  for (let looks = 0; looks < 3; looks += 1) await tail.look();
  leave();
  expect(told).toEqual([
    { conversationId: slow, types: ['ConversationUpdated'] },
    { conversationId: quick, types: ['MessageCreated'] },
  ]);
});
