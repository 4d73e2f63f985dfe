import { describe, expect, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import type { Target } from '../harness/client.ts';
import { createConversation, readMessage, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { replyEvents } from '../harness/events.ts';
import { textOf } from '../harness/fold.ts';
import { usePrograms } from '../harness/process.ts';
import { record } from '../harness/recording.ts';
import { readLog } from '../harness/rows.ts';

const { url: databaseUrl, pool } = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-recovery-tests';

/** The real program on the database of this file. */
async function start(env: Record<string, string> = {}): Promise<Target & Awaited<ReturnType<typeof programs.start>>> {
  const program = await programs.start({
    DATABASE_URL: databaseUrl,
    BOOTSTRAP_API_KEY: key,
    LEASE_SECONDS: '2',
    LOG_LEVEL: 'warn',
    ...env,
  });
  return Object.assign(program, { key });
}

const question = 'How do I stop a reply?';

/** A reply that the server is telling, of which this much text is stored already. */
async function replyInMidStream(server: Target, wordsPerSecond: number) {
  const { conversation, reply } = await createConversation(server, {
    message: { content: { text: question } },
    runtimeParameters: { wordsPerSecond },
  });
  const replyId = reply?.id ?? '';
  const follower = record(replyEvents(server, { replyId }));
  await expect.poll(() => storedText(replyId), { timeout: 30_000 }).not.toBe('');
  const stored = await storedText(replyId);
  await follower.until((events) => textOf(events, replyId).startsWith(stored));
  return { conversationId: conversation.id, replyId, follower, stored };
}

/** The text of a running reply that a crash would leave. */
async function storedText(replyId: string): Promise<string> {
  const { rows } = await pool.query<{ text: string }>(
    `SELECT string_agg(text, '' ORDER BY index, "offset") AS text FROM (
      SELECT index, -1 AS "offset", text FROM fragment WHERE message_id = $1
      UNION ALL SELECT fragment_index, "offset", reverse(reversed) FROM chunk WHERE message_id = $1
    ) AS pieces`,
    [decodeId('Message', replyId)],
  );
  return rows[0]?.text ?? '';
}

async function completions(conversationId: string): Promise<number> {
  const log = await readLog(pool, decodeId('Conversation', conversationId) ?? '');
  return log.filter(({ type }) => type === 'MessageCompleted').length;
}

async function wholeAnswer(server: Target): Promise<string> {
  const { reply } = await createConversation(server, {
    message: { content: { text: question } },
    runtimeParameters: { wordsPerSecond: 0 },
    awaitReply: true,
  });
  return reply?.text ?? '';
}

describe('a server that is killed in mid-reply', { timeout: 120_000 }, () => {
  test('is replaced by one that settles the reply once and within seconds, with the text that was stored', async () => {
    const first = await start();
    const { conversationId, replyId, follower, stored } = await replyInMidStream(first, 8);
    expect(await first.kill('SIGKILL')).toBe('SIGKILL');
    await expect(follower.ended()).rejects.toBeDefined();
    const seen = follower.events;

    const second = await start();
    const servingAt = performance.now();
    const rest = record(replyEvents(second, { replyId, after: seen.at(-1)?.cursor ?? '' }));
    const settled = (await rest.ended()).at(-1);
    expect(performance.now() - servingAt).toBeLessThan(10_000);

    const reply = await readMessage(second, replyId);
    expect(reply).toMatchObject({ status: 'ERROR', fragments: [{}, {}, { status: 'IN_PROGRESS', text: reply.text }] });
    expect(reply.errorDetail).toMatch(/stopped working.*text so far is kept/);
    expect(reply.text.startsWith(stored)).toBe(true);
    expect((await wholeAnswer(second)).startsWith(reply.text)).toBe(true);
    expect(settled).toMatchObject({ __typename: 'MessageCompleted', message: { status: 'ERROR', text: reply.text } });
    // What was seen and never stored is taken back: whoever followed ends with the stored text too.
    expect(textOf([...seen, ...rest.events], replyId)).toBe(reply.text);
    expect(await completions(conversationId)).toBe(1);

    const next = await send(second, { conversationId, content: { text: question }, awaitReply: true });
    expect(next.reply?.status).toBe('DONE');
    expect(await readMessage(second, replyId)).toEqual(reply);
    expect(await completions(conversationId)).toBe(2);
  });

  test('leaves its reply to a server that runs already, which settles it within seconds', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    const { replyId } = await replyInMidStream(first, 8);
    const follower = record(replyEvents(second, { replyId }));
    await follower.until((events) => textOf(events, replyId) !== '');
    await first.kill('SIGKILL');
    const events = await follower.ended();
    const reply = await readMessage(second, replyId);
    expect(reply.status).toBe('ERROR');
    expect(textOf(events, replyId)).toBe(reply.text);
  });
});

test(
  'a server that gets SIGTERM settles a reply that outlasts the grace period, and exits with 0',
  { timeout: 120_000 },
  async () => {
    const server = await start({ GRACE_SECONDS: '1' });
    const { conversationId, replyId, follower } = await replyInMidStream(server, 8);
    const toldAt = performance.now();
    expect(await server.kill('SIGTERM')).toBe(0);
    expect(performance.now() - toldAt).toBeGreaterThan(990);

    const next = await start();
    const reply = await readMessage(next, replyId);
    expect(reply).toMatchObject({ status: 'ERROR', errorDetail: expect.stringContaining('shut down') });
    expect(reply.text.startsWith(textOf(follower.events, replyId))).toBe(true);
    expect((await wholeAnswer(next)).startsWith(reply.text)).toBe(true);
    expect(await completions(conversationId)).toBe(1);
  },
);
