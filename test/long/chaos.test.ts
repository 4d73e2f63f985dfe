import { afterAll, describe, expect, test } from 'vitest';
import { newId } from '../../src/ids.ts';
import { createConversation, readMessage, send } from '../harness/commands.ts';
import { replyEvents } from '../harness/events.ts';
import type { FleetServer } from '../harness/fleet.ts';
import { textOf } from '../harness/fold.ts';
import { record } from '../harness/recording.ts';
import { findRedis } from '../harness/redis.ts';
import { storyOf } from '../harness/storyteller.ts';
import { expectWholeLog, talkThroughChaos, throughChaos, useChaosStage } from '../harness/talk-through-chaos.ts';

const redis = await findRedis();
const noRedis = 'skipped: REDIS_URL is unset, nothing answers on 127.0.0.1:6379, and there is no redis-server program';
if (!redis) console.warn(`Chaos among servers with Redis between them is ${noRedis}.`);
afterAll(() => redis?.release());

const stage = useChaosStage();

interface Beginning {
  agentId: string;
  count: number;
  /** How long each takes. */
  seconds: number;
  followedOn: readonly FleetServer[];
}

/** Replies in mid-stream, each in a conversation of its own. */
async function beginReplies(server: FleetServer, { agentId, count, seconds, followedOn }: Beginning) {
  const replies = Array.from({ length: count }, async () => {
    const { conversation, reply } = await createConversation(server, {
      agentId,
      message: { content: { text: newId() } },
      runtimeParameters: { words: seconds * 20, wordsPerSecond: 20 },
    });
    const replyId = reply?.id ?? '';
    const followers = followedOn.map((other) => record(replyEvents(other, { replyId })));
    await Promise.all(followers.map((follower) => follower.until((events) => textOf(events, replyId).length > 20)));
    return { conversationId: conversation.id, replyId, followers };
  });
  return Promise.all(replies);
}

async function countExpiredLeases(): Promise<number> {
  const { rowCount } = await stage.pool.query('SELECT FROM server WHERE expires_at < clock_timestamp()');
  return rowCount ?? 0;
}

// A machine that starves a live server for a whole lease makes it one that died: that is tried once more.
describe('servers with PostgreSQL between them', { retry: 1 }, () => {
  const fleet = stage.useFleet();

  test('settle the replies of one that died, each once and within 10 seconds', async () => {
    const [dying, first, second] = await fleet.resize(3);
    if (!dying || !first || !second) throw new Error('There are fewer servers than asked for.');
    const agentId = await fleet.createStoryteller();
    const replies = await beginReplies(dying, { agentId, count: 20, seconds: 600, followedOn: [first, second] });
    const killedAt = performance.now();
    await fleet.kill(dying);
    await Promise.all(replies.flatMap(({ followers }) => followers.map((follower) => follower.ended())));
    expect(performance.now() - killedAt).toBeLessThan(10_000);
    for (const { conversationId, replyId, followers } of replies) {
      const { status, text } = await readMessage(first, replyId);
      expect(status).toBe('ERROR');
      for (const { events } of followers) expect(textOf(events, replyId)).toBe(text);
      await expectWholeLog(stage.pool, conversationId, 1);
    }
  });

  test.each([
    ['soon', () => Promise.resolve()],
    ['when nothing is left of its lease', () => expect.poll(countExpiredLeases, { timeout: 20_000 }).toBe(0)],
  ])('let one that was frozen change nothing, and work again, if it wakes %s', async (_when, untilThen) => {
    const [frozen, awake] = await fleet.resize(2);
    if (!frozen || !awake) throw new Error('There are fewer servers than asked for.');
    const agentId = await fleet.createStoryteller();
    // Short enough that it would end them as soon as it wakes, if it could.
    const replies = await beginReplies(frozen, { agentId, count: 5, seconds: 6, followedOn: [awake, frozen] });
    frozen.freeze();
    for (const { followers } of replies) await followers[0]?.ended();
    const settled = await Promise.all(replies.map(({ replyId }) => readMessage(awake, replyId)));
    await untilThen();
    frozen.thaw();

    const content = { text: 'Good morning.' };
    const runtimeParameters = { words: 20, wordsPerSecond: 0 };
    const sends = replies.map(({ conversationId }) =>
      send(frozen, { conversationId, content, runtimeParameters, awaitReply: true }),
    );
    for (const { reply } of await Promise.all(sends)) {
      expect(reply).toMatchObject({ status: 'DONE', text: storyOf(content.text, runtimeParameters).join('') });
    }
    for (const [n, { conversationId, replyId, followers }] of replies.entries()) {
      expect(settled[n]?.status).toBe('ERROR');
      for (const follower of followers) expect(textOf(await follower.ended(), replyId)).toBe(settled[n]?.text);
      expect(await readMessage(frozen, replyId)).toEqual(settled[n]);
      await expectWholeLog(stage.pool, conversationId, 2);
    }
  });

  test(`three ${throughChaos}`, () => talkThroughChaos(stage, fleet, { servers: 3, talks: 40 }));
});

describe.skipIf(!redis)(`servers with Redis between them${redis ? '' : ` (${noRedis})`}`, { retry: 1 }, () => {
  const fleet = stage.useFleet(() => redis?.url ?? '');

  test(`two ${throughChaos}`, () => talkThroughChaos(stage, fleet, { servers: 2, talks: 12 }));
});
