import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bus, Hint } from '../../src/bus/hints.ts';
import { readBusKey } from '../../src/bus/bus-key.ts';
import { chooseBus } from '../../src/bus/choose.ts';
import { ofConversation } from '../../src/bus/topics.ts';
import { decodeId, newId } from '../../src/ids.ts';
import { createLogger } from '../../src/logger.ts';
import { createConversation, readMessage, stop } from './commands.ts';
import { useDatabase } from './database.ts';
import { replyEvents } from './events.ts';
import { Fleet, type FleetServer } from './fleet.ts';
import { textOf } from './fold.ts';
import { Random } from './random.ts';
import { record } from './recording.ts';
import { readLog } from './rows.ts';
import { storyOf } from './storyteller.ts';

/** So many later the owner of a stopped reply has long heard of it. */
const LATER = 3;
const telling = { words: 1_000, wordsPerSecond: 100 };

/** A reply that was stopped. What came after the stop is in milliseconds since it was sent. */
interface Stop {
  conversationId: string;
  replyId: string;
  text: string;
  sentAt: number;
  answered: number;
  /** The follower on the owner. */
  told: number;
}

/** Has one server begin a reply and another stop it, when followers on both have so much of it. */
async function stopFromElsewhere(
  bus: Bus,
  owner: FleetServer,
  other: FleetServer,
  agentId: string,
  length: number,
): Promise<Stop> {
  const question = newId();
  const { conversation, reply } = await createConversation(owner, {
    agentId,
    message: { content: { text: question } },
    runtimeParameters: telling,
  });
  const replyId = reply?.id ?? '';
  bus.join(ofConversation(decodeId('Conversation', conversation.id) ?? ''));
  const onOwner = record(replyEvents(owner, { replyId }));
  const elsewhere = record(replyEvents(other, { replyId }));
  for (const follower of [onOwner, elsewhere]) {
    await follower.until((events) => textOf(events, replyId).length >= length);
  }

  const sentAt = performance.now();
  const told = onOwner.ended().then(() => performance.now() - sentAt);
  const { reply: stopped } = await stop(other, replyId);
  const answered = performance.now() - sentAt;
  expect(stopped.status).toBe('STOPPED');
  expect(storyOf(question, telling).join('').startsWith(stopped.text)).toBe(true);
  for (const follower of [onOwner, elsewhere]) expect(textOf(await follower.ended(), replyId)).toBe(stopped.text);
  return { conversationId: conversation.id, replyId, text: stopped.text, sentAt, answered, told: await told };
}

/** What half, 99 % and all of the values do not exceed, in whole milliseconds. */
function summary(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.5, 0.99, 1].map((share) => Math.ceil(sorted[Math.ceil(share * sorted.length) - 1] ?? NaN)).join(' / ');
}

/**
 * A test that a stop on another server than the reply's owner takes effect once, everywhere and for good: so many stops, of
 * which it prints how long they take. To be called once in a file.
 */
export function testStopsAcrossServers(count: number): void {
  const { url: databaseUrl, pool } = useDatabase();
  const fleet = new Fleet(() => ({ DATABASE_URL: databaseUrl, EVENTS_URL: databaseUrl, LEASE_SECONDS: '5' }));

  /** All that the servers tell each other, and when, in milliseconds. */
  const heard: { hint: Hint; at: number }[] = [];
  let bus: Bus;
  beforeAll(async () => {
    const logger = createLogger({ level: 'silent' });
    bus = await chooseBus({ eventsUrl: undefined, databaseUrl, key: await readBusKey(pool), logger });
    bus.subscribe({ onHint: (hint) => heard.push({ hint, at: performance.now() }), onReconnect: () => undefined });
    await bus.connect();
  });
  afterAll(async () => {
    await bus.close();
  });

  /** When the last text of a reply came over the bus, in milliseconds since its stop was sent; 0 for before. */
  function lastTextOf({ replyId, sentAt }: Stop): number {
    const messageId = decodeId('Message', replyId);
    const last = heard.findLast(({ hint }) => hint.kind === 'text' && hint.messageId === messageId);
    return Math.max(0, (last?.at ?? 0) - sentAt);
  }

  test(`${count} stops on another server than the owner take effect once, everywhere and for good`, async () => {
    const [owner, other] = await fleet.resize(2);
    if (!owner || !other) throw new Error('There are fewer servers than asked for.');
    const agentId = await fleet.createStoryteller();
    const random = new Random(20_261_122);
    const stops: Stop[] = [];
    while (stops.length < count + LATER) {
      stops.push(await stopFromElsewhere(bus, owner, other, agentId, random.between(1, 100)));
    }
    const measured = stops.slice(0, count);
    for (const [n, stopped] of measured.entries()) {
      // The owner may go on until it hears of the stop, but not until others were begun, told and stopped.
      const later = stops[n + LATER]?.sentAt ?? 0;
      expect(stopped.sentAt + lastTextOf(stopped)).toBeLessThan(later);
      expect(await readMessage(owner, stopped.replyId)).toMatchObject({ status: 'STOPPED', text: stopped.text });
      const log = await readLog(pool, decodeId('Conversation', stopped.conversationId) ?? '');
      expect(log.map(({ type }) => type)).toEqual([
        'ConversationCreated',
        'MessageCreated',
        'MessageCreated',
        'MessageCompleted',
      ]);
    }
    console.log(
      `${count} stops from another server, in ms (median / p99 / max): ` +
        `answered after ${summary(measured.map(({ answered }) => answered))}, ` +
        `told to a follower on the owner after ${summary(measured.map(({ told }) => told))}, ` +
        `last text published after ${summary(measured.map(lastTextOf))}.`,
    );
  });
}
