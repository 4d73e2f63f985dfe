import { beforeAll, describe, expect, test } from 'vitest';
import type { Target } from '../harness/client.ts';
import { createConversation, readMessage, send, stop } from '../harness/commands.ts';
import { createDatabase } from '../harness/database.ts';
import { replyEvents } from '../harness/events.ts';
import { textOf } from '../harness/fold.ts';
import { fromSources, type Program, usePrograms } from '../harness/process.ts';
import { record } from '../harness/recording.ts';

// A checkout of the last release, after `npm ci`.
const folder = process.env.LAST_RELEASE;
const why = 'skipped: LAST_RELEASE, the folder of a checkout of the last release with its dependencies, is unset';
if (!folder) console.warn(`A server of the last release beside one of this: ${why}.`);

const key = 'key-of-the-tests-of-two-releases';
const question = 'How do I stop a reply?';

describe.skipIf(!folder)(`beside a server of this release${folder ? '' : ` (${why})`}`, { timeout: 180_000 }, () => {
  const lastRelease = usePrograms({ args: fromSources, ...(folder && { cwd: folder }) });
  const thisRelease = usePrograms();
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let env: Record<string, string>;

  beforeAll(async () => {
    database = await createDatabase();
    env = { DATABASE_URL: database.url, BOOTSTRAP_API_KEY: key, LEASE_SECONDS: '5', LOG_LEVEL: 'warn' };
    return () => database.drop();
  });

  /** A reply of which somebody has been told a part, by a server of either release. */
  async function replyInMidStream(server: Target, followedOn: Target, wordsPerSecond = 8) {
    const { reply } = await createConversation(server, {
      message: { content: { text: question } },
      runtimeParameters: { wordsPerSecond },
    });
    const replyId = reply?.id ?? '';
    const follower = record(replyEvents(followedOn, { replyId }));
    await follower.until((events) => textOf(events, replyId) !== '');
    return { replyId, follower };
  }

  test('a server of the last release goes on sending, streaming, stopping and settling', async () => {
    // Its migrations are what the database has, and a reply is under way, when the new server comes.
    const before = await start(lastRelease.start(env));
    const early = await replyInMidStream(before, before, 4);
    const now = await start(thisRelease.start(env));

    const told = await early.follower.until((events) => textOf(events, early.replyId).length > 60);
    expect(told.length).toBeGreaterThan(1);
    await stop(now, early.replyId);
    expect(textOf(await early.follower.ended(), early.replyId)).toBe((await readMessage(before, early.replyId)).text);

    for (const [server, other] of [
      [before, now],
      [now, before],
    ] as const) {
      const whole = await createConversation(server, {
        message: { content: { text: question } },
        runtimeParameters: { wordsPerSecond: 0 },
        awaitReply: true,
      });
      expect(whole.reply).toMatchObject({ status: 'DONE' });
      expect((await readMessage(other, whole.reply?.id ?? '')).text).toBe(whole.reply?.text);
      // The next message of a conversation by the other release.
      const next = await send(other, {
        conversationId: whole.conversation.id,
        content: { text: question },
        awaitReply: true,
      });
      expect(next.reply).toMatchObject({ status: 'DONE' });

      const followed = await replyInMidStream(server, other);
      await stop(other, followed.replyId);
      const { status, text } = await readMessage(server, followed.replyId);
      expect(status).toBe('STOPPED');
      expect(textOf(await followed.follower.ended(), followed.replyId)).toBe(text);

      // From a cursor that the other release gave.
      const [first] = followed.follower.events;
      const rest = record(replyEvents(server, { replyId: followed.replyId, after: first?.cursor ?? '' }));
      expect(textOf([...followed.follower.events.slice(0, 1), ...(await rest.ended())], followed.replyId)).toBe(text);
    }

    // Whoever dies, the other settles its reply.
    const lost = await replyInMidStream(now, before);
    await now.kill('SIGKILL');
    expect(textOf(await lost.follower.ended(), lost.replyId)).toBe((await readMessage(before, lost.replyId)).text);
    expect((await readMessage(before, lost.replyId)).status).toBe('ERROR');
    const successor = await start(thisRelease.start(env));
    const left = await replyInMidStream(before, successor);
    await before.kill('SIGKILL');
    await left.follower.ended();
    expect((await readMessage(successor, left.replyId)).status).toBe('ERROR');
    for (const server of [before, now, successor]) expect(server.stderr).not.toMatch(/column|relation|enum|violates/);
  });
});

async function start(starting: Promise<Program>): Promise<Program & Target> {
  return Object.assign(await starting, { key });
}
