import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { subscribeSse, subscribeWs, type Target } from './harness/client.ts';
import { readMessage, send } from './harness/commands.ts';
import { conversationEvents, type Event, replyEvents } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record } from './harness/recording.ts';
import type { Script } from './harness/scripted-runtime.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

const { server, runtime, idle } = useScriptedServer();
let other: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  other = await startServer(server.databaseUrl);
});
afterAll(() => other.close());

const last = (events: readonly Event[]) => events.at(-1)?.__typename;
const pieces = ['Die ', 'Familie 👩‍👩‍👧‍👦 ', '𝒻𝓁', '𝒾𝓮𝓰𝓽', ' nach 日本', ' 🛫', '🗾', '.'];

/** Text that arrives in several deltas may arrive in one: joins deltas that follow on each other. */
function joined(events: readonly Event[]): Event[] {
  const result: Event[] = [];
  for (const event of events) {
    const before = result.at(-1);
    const follows =
      event.__typename === 'FragmentDelta' &&
      before?.__typename === 'FragmentDelta' &&
      event.offset === before.offset + before.text.length;
    if (follows) result[result.length - 1] = { ...event, offset: before.offset, text: before.text + event.text };
    else result.push(event);
  }
  return result;
}

/** Has a reply told piece by piece, each seen by a follower before the next; returns all that the follower saw. */
async function recordPieces(follower: ReturnType<typeof record<Event>>, script: Script, replyId: string) {
  await script.say(
    { type: 'tool-call', callId: 'c', name: 'lookUp', args: { q: '🛫' } },
    { type: 'tool-result', callId: 'c', response: null, failed: true },
  );
  await script.begin();
  let told = '';
  for (const piece of pieces) {
    await script.write(piece);
    told += piece;
    await follower.until((events) => textOf(events, replyId) === told);
  }
}

describe('resuming', () => {
  test('from every cursor of a conversation gives exactly what comes after it, without skipping or repeating a character', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const follower = record(conversationEvents(server, { conversationId, after }));
    for (const text of ['First flight.', 'Second flight.']) {
      const { reply } = await send(server, { conversationId, content: { text } });
      const script = await runtime.replyTo(text);
      await recordPieces(follower, script, reply?.id ?? '');
      await script.end();
      await follower.until((events) => last(events) === 'MessageCompleted');
    }
    await send(server, { conversationId, content: { text: 'The end.' }, action: 'NONE' });
    await follower.until((events) => last(events) === 'MessageCreated');
    await follower.leave();
    const { events } = follower;
    expect(new Set(events.map(({ cursor }) => cursor)).size).toBe(events.length);
    expect(events.length).toBeGreaterThan(2 * pieces.length);

    await inTurn(events.slice(0, -1).entries(), async ([i, { cursor }]) => {
      const target = i % 2 ? server : other;
      const resumed = record(conversationEvents(target, { conversationId, after: cursor }, transportOf(i)));
      await resumed.until((seen) => seen.at(-1)?.cursor === events.at(-1)?.cursor);
      await resumed.leave();
      expect(joined(resumed.events)).toEqual(joined(events.slice(i + 1)));
    });
  });

  test('from every cursor of a reply in mid-air goes on to its end, without skipping or repeating a character', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const { reply } = await send(server, { conversationId, content: { text: 'Still flying.' } });
    const replyId = reply?.id ?? '';
    const script = await runtime.replyTo('Still flying.');
    const first = record(conversationEvents(server, { conversationId, after }));
    await recordPieces(first, script, replyId);
    const prefix = [...first.events];
    const resumed = prefix.map(({ cursor }, i) => {
      const target: Target = i % 2 ? server : other;
      return record(conversationEvents(target, { conversationId, after: cursor }, transportOf(i)));
    });
    const told = pieces.join('');
    const caughtUp = resumed.map((follower, i) =>
      follower.until((events) => textOf([...prefix.slice(0, i + 1), ...events], replyId) === told),
    );
    await Promise.all(caughtUp);
    for (const piece of pieces) await script.write(piece);
    await script.end();
    const stored = [...pieces, ...pieces].join('');
    for (const [i, follower] of [...resumed, first].entries()) {
      const events = await follower.until((seen) => last(seen) === 'MessageCompleted');
      if (follower === first) continue;
      expect(textOf([...prefix.slice(0, i + 1), ...events], replyId)).toBe(stored);
      // Nothing is told twice: what was seen and what follows are as long as the text.
      expect(lengthOf(prefix.slice(0, i + 1)) + lengthOf(events)).toBe(stored.length);
    }
    expect((await readMessage(server, replyId)).text).toBe(stored);
    await Promise.all([...resumed, first].map((follower) => follower.leave()));
  });

  test('one reply from any cursor of its conversation tells the reply from there on', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const follower = record(conversationEvents(server, { conversationId, after }));
    const { reply } = await send(server, { conversationId, content: { text: 'One leg.' } });
    const replyId = reply?.id ?? '';
    const script = await runtime.replyTo('One leg.');
    await recordPieces(follower, script, replyId);
    await script.end();
    await follower.until((events) => last(events) === 'MessageCompleted');
    await send(server, { conversationId, content: { text: 'Afterwards.' }, action: 'NONE' });
    await follower.until((events) => last(events) === 'MessageCreated');
    await follower.leave();
    const { events } = follower;

    const begin = events.findIndex((event) => event.__typename === 'MessageCreated' && event.message.id === replyId);
    const end = events.findIndex((event) => event.__typename === 'MessageCompleted') + 1;
    await inTurn([{ cursor: after }, ...events].entries(), async ([i, { cursor }]) => {
      const resumed = record(replyEvents(i % 2 ? server : other, { replyId, after: cursor }, transportOf(i)));
      const seen = await resumed.ended();
      expect(joined(seen)).toEqual(joined(events.slice(Math.max(begin, i), end)));
    });
  });
});

function transportOf(i: number) {
  return i % 3 ? subscribeWs : subscribeSse;
}

/** How much text deltas tell in all, in UTF-16 code units. */
function lengthOf(events: readonly Event[]): number {
  return events.reduce((sum, event) => sum + (event.__typename === 'FragmentDelta' ? event.text.length : 0), 0);
}

/** Does the work for each item, four at a time. */
async function inTurn<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}
