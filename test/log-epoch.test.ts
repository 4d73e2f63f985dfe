import { afterEach, describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from '../src/conversations/stream/cursor.ts';
import { decodeId } from '../src/ids.ts';
import { GAP_MS, POLL_MS, STORE_MS, STORED_MS } from '../src/text-timing.ts';
import { RefusedError, subscribeSse, subscribeWs } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { conversationEvents } from './harness/events.ts';
import { record } from './harness/recording.ts';
import { startServer, useServer } from './harness/server.ts';

const server = useServer();
const others: Awaited<ReturnType<typeof startServer>>[] = [];
afterEach(async () => {
  await Promise.all(others.splice(0).map((other) => other.close()));
});

async function conversationOf(notes: number) {
  const created = await createConversation(server, { action: 'NONE' });
  const conversationId = created.conversation.id;
  let { cursor } = created;
  const cursors = [cursor];
  for (let n = 0; n < notes; n += 1) {
    ({ cursor } = await send(server, { conversationId, content: { text: `Note ${n}` }, action: 'NONE' }));
    cursors.push(cursor);
  }
  return { conversationId, uuid: decodeId('Conversation', conversationId) ?? '', cursors };
}

/** As a failover to a replica that has not had the last changes of this conversation, or of all of it. */
async function lose(uuid: string, changes: number): Promise<void> {
  const { pool } = server.services;
  await pool.query('UPDATE log_epoch SET base = base + 1');
  await pool.query(
    'DELETE FROM event WHERE conversation_id = $1 AND version > (SELECT version - $2 FROM conversation WHERE id = $1)',
    [uuid, changes],
  );
  await pool.query('UPDATE conversation SET version = version - $2 WHERE id = $1', [uuid, changes]);
  // As new connections make it.
  await server.services.logEpoch.read();
}

/** What a stream was refused or ended with. */
async function endOf(stream: ReturnType<typeof conversationEvents>) {
  const error: unknown = await record(stream)
    .ended()
    .catch((cause: unknown) => cause);
  if (!(error instanceof RefusedError)) throw new Error('It was not refused.', { cause: error });
  return { code: error.errors[0]?.extensions?.code, message: error.errors[0]?.message };
}

describe.each([
  ['WebSocket', subscribeWs],
  ['SSE', subscribeSse],
])('a log that went back, by %s', (_name, subscribe) => {
  test('ends the streams of those that know more, and says to start over', async () => {
    const { conversationId, uuid, cursors } = await conversationOf(3);
    const stream = conversationEvents(server, { conversationId, after: cursors[0] ?? '' }, subscribe);
    const follower = record(stream);
    await follower.until((events) => events.length === 3);
    await lose(uuid, 1);
    const error: unknown = await follower.ended().catch((cause: unknown) => cause);
    expect(error).toMatchObject({ errors: [{ extensions: { code: 'START_OVER' } }] });
    // Whoever starts over is served.
    const again = record(conversationEvents(server, { conversationId, after: cursors[0] ?? '' }, subscribe));
    await again.until((events) => events.length === 2);
    await again.leave();
  });

  test('refuses the cursors of what is gone, also once as much has been written anew, and no others', async () => {
    const { conversationId, uuid, cursors } = await conversationOf(3);
    await lose(uuid, 2);
    const gone = cursors.slice(2);
    for (const after of gone) {
      const end = await endOf(conversationEvents(server, { conversationId, after }, subscribe));
      expect(end).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('Start over') });
    }
    for (const text of ['Anew', 'And more', 'And more']) {
      await server.services.pool.query('UPDATE conversation SET next_position = next_position + 10 WHERE id = $1', [
        uuid,
      ]);
      await send(server, { conversationId, content: { text }, action: 'NONE' });
    }
    for (const after of gone) {
      const end = await endOf(conversationEvents(server, { conversationId, after }, subscribe));
      expect(end).toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('Start over') });
    }
    const follower = record(conversationEvents(server, { conversationId, after: cursors[1] ?? '' }, subscribe));
    await follower.until((events) => events.length === 3);
    await follower.leave();
  });
});

test('a stream is ended too when as much has been written anew as it knows', async () => {
  const { conversationId, uuid, cursors } = await conversationOf(2);
  const follower = record(conversationEvents(server, { conversationId, after: cursors[0] ?? '' }));
  await follower.until((events) => events.length === 2);
  await lose(uuid, 1);
  // Another server writes the same version again before this one looks.
  const other = await startServer(server.databaseUrl, { config: { eventsUrl: 'memory:' } });
  others.push(other);
  await server.services.pool.query('UPDATE conversation SET next_position = next_position + 10 WHERE id = $1', [uuid]);
  for (const text of ['Anew', 'And more']) await send(other, { conversationId, content: { text }, action: 'NONE' });
  expect(await follower.ended().catch((cause: unknown) => cause)).toMatchObject({
    errors: [{ extensions: { code: 'START_OVER' } }],
  });
});

test('a move to another cluster begins an epoch that is higher than any before', async () => {
  await conversationOf(1);
  const { pool } = server.services;
  const before = server.services.logEpoch.current;
  const { rows } = await pool.query<{ before: string }>('SELECT system_identifier AS before FROM log_epoch');
  await pool.query(`UPDATE log_epoch SET system_identifier = 'elsewhere'`);
  const other = await startServer(server.databaseUrl);
  others.push(other);
  expect(other.services.logEpoch.current).toBeGreaterThan(before);
  const after = await pool.query('SELECT system_identifier AS before FROM log_epoch');
  expect(after.rows).toEqual(rows);
});

test('a cursor from before there were epochs can be used', async () => {
  const { conversationId, uuid, cursors } = await conversationOf(2);
  const position = decodeCursor(uuid, cursors[1] ?? '');
  expect(position?.epoch).toBe(server.services.logEpoch.current);
  const old = encodeCursor(uuid, { version: position?.version ?? 0, running: null });
  expect(decodeCursor(uuid, old)).toEqual({ version: position?.version, running: null });
  const follower = record(conversationEvents(server, { conversationId, after: old }));
  await follower.until((events) => events.length === 1);
  await follower.leave();
});

test('readers look for text no more often than it is stored, and once more when it must be', () => {
  expect(GAP_MS).toBeLessThanOrEqual(STORE_MS);
  expect(STORED_MS).toBeGreaterThanOrEqual(2 * STORE_MS);
  expect(POLL_MS).toBeGreaterThan(STORED_MS);
});
