import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeId, newId } from '../src/ids.ts';
import { Chaos } from './harness/chaos.ts';
import { createConversation, type MessageData, readMessage, send } from './harness/commands.ts';
import { replyEvents } from './harness/events.ts';
import { Fleet, type FleetServer } from './harness/fleet.ts';
import { textOf } from './harness/fold.ts';
import { followByClient, followBySse, followByWebSocket } from './harness/followers.ts';
import { record } from './harness/recording.ts';
import { findRedis } from './harness/redis.ts';
import { useRestartablePostgres } from './harness/restartable-postgres.ts';
import { readLog } from './harness/rows.ts';
import { storyOf } from './harness/storyteller.ts';
import { type Asked, talk } from './harness/talk.ts';

const redis = await findRedis();
const noRedis = 'skipped: REDIS_URL is unset, nothing answers on 127.0.0.1:6379, and there is no redis-server program';
if (!redis) console.warn(`Chaos among servers with Redis between them is ${noRedis}.`);
afterAll(() => redis?.release());

const postgres = useRestartablePostgres();
let pool: pg.Pool;
beforeAll(() => {
  pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  pool.on('error', () => undefined);
});
afterAll(() => pool.end());

/** Servers with this between them, whose lease a server keeps that lives but has to wait for a busy processor. */
function useFleet(eventsUrl: () => string): Fleet {
  return new Fleet(() => ({ DATABASE_URL: postgres.url, EVENTS_URL: eventsUrl(), LEASE_SECONDS: '5' }));
}

const TURNS = 5;

/** Conversations of `TURNS` replies each go on while chaos reigns, and for one more reply after it. */
async function talkThroughChaos(fleet: Fleet, servers: number, talks: number): Promise<void> {
  await fleet.resize(servers);
  const agentId = await fleet.createStoryteller();
  const running = new Set<Asked>();
  const load = (server: FleetServer) => [...running].filter((asked) => asked.servers.has(server)).length;
  const left = new AbortController();
  const chaos = new Chaos({ fleet, postgres, load, signal: left.signal });
  const over = chaos.reign();
  const talking = Array.from({ length: talks }, (_, n) =>
    talk({
      fleet,
      agentId,
      random: chaos.random.fork(),
      followers: [followByClient, n % 2 ? followByWebSocket : followBySse],
      turns: TURNS,
      beforeLast: over,
      running,
      signal: left.signal,
    }),
  );
  const done = Promise.all([Promise.all(talking), over]);
  const [talked] = await Promise.race([done, fleet.crash]).finally(() => left.abort());

  const ends = talked.map(async ({ conversationId, replies, told }) => {
    const stored = await Promise.all(replies.map(({ id }) => readMessage(chaos.random.pick(fleet.servers), id)));
    for (const [n, reply] of replies.entries()) expectEnd(fleet, reply, stored[n]);
    const truth = Object.fromEntries(stored.map(({ id, status, text }) => [id, { status, text }]));
    for (const followed of told) expect(Object.fromEntries(followed)).toEqual(truth);
    await expectWholeLog(conversationId, TURNS);
    return stored.map(({ status }) => status);
  });
  const statuses = (await Promise.all(ends)).flat();
  expect(statuses).toHaveLength(talks * TURNS);
  expect(statuses).toContain('ERROR');
}

/** All of the story; or, if its server was killed, some of it and why. */
function expectEnd(fleet: Fleet, { story, servers }: Asked, stored: MessageData | undefined): void {
  if (stored?.status === 'ERROR' && [...servers].some((server) => fleet.wasKilled(server))) {
    expect(stored.errorDetail).toMatch(/stopped working/);
    expect(story.startsWith(stored.text)).toBe(true);
  } else {
    expect(stored).toMatchObject({ errorDetail: null, status: 'DONE', text: story });
  }
}

/** No version left out or given twice, and so many replies ended, each once. */
async function expectWholeLog(conversationId: string, replies: number): Promise<void> {
  const log = await readLog(pool, decodeId('Conversation', conversationId) ?? '');
  expect(log.map(({ version }) => version)).toEqual(log.map((_, n) => n + 1));
  expect(log.filter(({ type }) => type === 'MessageCompleted')).toHaveLength(replies);
}

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
  const { rowCount } = await pool.query('SELECT FROM server WHERE expires_at < clock_timestamp()');
  return rowCount ?? 0;
}

const throughChaos = 'of them keep every promise while they are killed, cut off and left by their database';

// A machine that starves a live server for a whole lease makes it one that died: that is tried once more.
describe('servers with PostgreSQL between them', { timeout: 180_000, retry: 1 }, () => {
  const fleet = useFleet(() => postgres.url);

  test(`three ${throughChaos}`, () => talkThroughChaos(fleet, 3, 14));

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
      await expectWholeLog(conversationId, 1);
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
      await expectWholeLog(conversationId, 2);
    }
  });

  test(`two ${throughChaos}`, () => talkThroughChaos(fleet, 2, 14));
});

describe.skipIf(!redis)(
  `servers with Redis between them${redis ? '' : ` (${noRedis})`}`,
  { timeout: 180_000, retry: 1 },
  () => {
    const fleet = useFleet(() => redis?.url ?? '');

    test(`two ${throughChaos}`, () => talkThroughChaos(fleet, 2, 12));
  },
);
