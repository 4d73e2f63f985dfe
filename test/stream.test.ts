import { setImmediate, setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ask, subscribeSse, subscribeWs } from './harness/client.ts';
import { readMessage, send } from './harness/commands.ts';
import { conversationEvents, type Event, replyEvents } from './harness/events.ts';
import { fold, textOf } from './harness/fold.ts';
import { record, type Recording } from './harness/recording.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { startServer } from './harness/server.ts';

const { server, runtime, idle } = useScriptedServer();
let other: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  other = await startServer(server.databaseUrl);
});
afterAll(() => other.close());

/** A reply that has just begun. */
async function begin(text: string) {
  const { id: conversationId, cursor } = await idle();
  const { reply } = await send(server, { conversationId, content: { text } });
  return { conversationId, cursor, replyId: reply?.id ?? '', script: await runtime.replyTo(text) };
}

const names = (events: readonly Event[]) => events.map(({ __typename }) => __typename);
const versions = (events: readonly Event[]) => events.flatMap((event) => ('version' in event ? [event.version] : []));
const completed = (events: readonly Event[]) => names(events).includes('MessageCompleted');

async function storedText(replyId: string): Promise<string> {
  return (await readMessage(server, replyId)).text;
}

describe('replyEvents', () => {
  test('brings every follower exactly the stored text, by WebSocket and SSE, on any server, whenever it joins', async () => {
    const { replyId, script } = await begin('Tell everyone.');
    const join = () =>
      [subscribeWs, subscribeSse].flatMap((subscribe) =>
        [server, server, other].map((target) => record(replyEvents(target, { replyId }, subscribe))),
      );
    const seeing = (followers: Recording<Event>[], text: string) =>
      Promise.all(followers.map((follower) => follower.until((events) => textOf(events, replyId) === text)));

    const early = join();
    await Promise.all(early.map((follower) => follower.until((events) => events.length > 0)));
    await script.say(
      { type: 'tool-call', callId: '1', name: 'greetings', args: { language: 'de' } },
      { type: 'tool-result', callId: '1', response: ['Grüße 👋🏽'], failed: false },
    );
    await script.begin('Grüße 👋🏽 ', 'an ');
    await seeing(early, 'Grüße 👋🏽 an ');
    const midway = join();
    await script.write('die ', 'Welt 🌍');
    await seeing([...early, ...midway], 'Grüße 👋🏽 an die Welt 🌍');
    await script.write('! 日本語も。');
    await script.end();
    await Promise.all([...early, ...midway].map((follower) => follower.ended()));
    const late = join();
    await Promise.all(late.map((follower) => follower.ended()));

    const stored = await readMessage(server, replyId);
    expect(stored.text).toBe('Grüße 👋🏽 an die Welt 🌍! 日本語も。');
    for (const { events } of [...early, ...midway, ...late]) {
      const folded = fold(events).get(replyId);
      expect(folded?.status).toBe('DONE');
      expect(folded?.fragments).toEqual(
        stored.fragments.map(({ id, __typename, text = '' }) => ({ id, kind: __typename, text, done: true })),
      );
      expect(names(events).at(0)).toBe('MessageCreated');
      expect(names(events).at(-1)).toBe('MessageCompleted');
      expect(events.at(-1)).toMatchObject({ message: { text: stored.text, status: 'DONE' } });
    }
  });

  test('leaves out what else happens in the conversation', async () => {
    const { conversationId, replyId, script } = await begin('Only this one.');
    await script.begin('This one.');
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    await send(server, { conversationId, content: { text: 'Another.' }, action: 'NONE' });
    const again = await record(replyEvents(server, { replyId })).ended();
    expect(names(again)).toEqual([
      'MessageCreated',
      'FragmentStarted',
      'FragmentDelta',
      'FragmentCompleted',
      'MessageCompleted',
    ]);
  });

  test('never cuts a surrogate pair, however the runtime cuts its text', async () => {
    const { replyId, script } = await begin('Cut it up.');
    const follower = record(replyEvents(server, { replyId }));
    await follower.until((events) => events.length > 0);
    const text = '👩‍👩‍👧‍👦 and 𝒻𝓇𝒾𝑒𝓃𝒹𝓈 🏳️‍🌈!';
    await script.begin();
    for (let i = 0; i < text.length; i += 1) {
      await script.write(text.charAt(i));
      await follower.until(
        (events) => textOf(events, replyId) === text.slice(0, i + 1).replace(/[\uD800-\uDBFF]$/, ''),
      );
    }
    await script.end();
    expect(textOf(await follower.ended(), replyId)).toBe(text);
    expect(await storedText(replyId)).toBe(text);
  });

  test('brings no half pair and no NUL, even when the runtime produces them', async () => {
    const { replyId, script } = await begin('Break it.');
    await script.begin('a\ud83d', 'b\0c', '\udc4b', '\u0000', 'd\ud83d');
    await script.end();
    expect(textOf(await record(replyEvents(server, { replyId })).ended(), replyId)).toBe('a\ufffdbc\ufffdd\ufffd');
    expect(await storedText(replyId)).toBe('a\ufffdbc\ufffdd\ufffd');
  });
});

describe('conversationEvents', () => {
  test('follows one reply after another, every version once and in order', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const followers = [subscribeWs, subscribeSse].map((subscribe) =>
      record(conversationEvents(server, { conversationId, after }, subscribe)),
    );
    const replies: string[] = [];
    for (const text of ['The first.', 'The second.']) {
      const { reply } = await send(server, { conversationId, content: { text } });
      replies.push(reply?.id ?? '');
      const script = await runtime.replyTo(text);
      await script.begin('Answer to: ', text);
      await script.end();
      const count = replies.length;
      const done = (events: readonly Event[]) => names(events).filter((name) => name === 'MessageCompleted').length;
      await Promise.all(followers.map((follower) => follower.until((events) => done(events) === count)));
    }
    for (const follower of followers) {
      expect(versions(follower.events)).toEqual([2, 3, 4, 5, 6, 7]);
      expect(textOf(follower.events, replies[0] ?? '')).toBe('Answer to: The first.');
      expect(textOf(follower.events, replies[1] ?? '')).toBe('Answer to: The second.');
      await follower.leave();
    }
  });

  test('begins in mid-reply with the running reply so far, merged, and goes on', async () => {
    const { conversationId, replyId, script } = await begin('I come late.');
    await script.begin('One ', 'two ', 'three');
    await record(replyEvents(server, { replyId })).until((events) => textOf(events, replyId) === 'One two three');
    const late = record(conversationEvents(server, { conversationId }));
    await late.until((events) => textOf(events, replyId) === 'One two three');
    expect(late.events).toMatchObject([
      { __typename: 'MessageCreated', version: 3, message: { id: replyId, status: 'IN_PROGRESS', text: '' } },
      { __typename: 'FragmentStarted', fragment: { index: 0, status: 'IN_PROGRESS', text: '' } },
      { __typename: 'FragmentDelta', offset: 0, text: 'One two three' },
    ]);
    await script.write(' four');
    await script.end();
    await late.until(completed);
    expect(textOf(late.events, replyId)).toBe('One two three four');
    await late.leave();
  });

  test('begins with what comes next while nothing is being generated', async () => {
    const { conversationId, replyId, script } = await begin('Before.');
    await script.begin('Past.');
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    const late = record(conversationEvents(server, { conversationId }));
    // A stream gives no sign that it has begun, so messages are sent until one of them is seen.
    for (let i = 0; late.events.length === 0; i += 1) {
      await send(server, { conversationId, content: { text: `Next ${i}` }, action: 'NONE' });
    }
    expect(late.events[0]).toMatchObject({ __typename: 'MessageCreated', message: { role: 'USER' } });
    expect(versions(late.events)[0]).toBeGreaterThanOrEqual(5);
    await late.leave();
  });

  test('leaves out fragments when asked to, and its cursors lead to them', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('In short.');
    const short = record(conversationEvents(server, { conversationId, after, fragments: false }));
    await script.begin('Long ', 'story.');
    await record(replyEvents(server, { replyId })).until((events) => textOf(events, replyId) === 'Long story.');
    await script.end();
    await short.until(completed);
    expect(names(short.events)).toEqual(['MessageCreated', 'MessageCreated', 'MessageCompleted']);
    expect(short.events.at(-1)).toMatchObject({ message: { text: 'Long story.' } });

    const inReply = short.events[1]?.cursor ?? '';
    const full = record(conversationEvents(server, { conversationId, after: inReply }));
    await full.until(completed);
    expect(textOf([...short.events.slice(0, 2), ...full.events], replyId)).toBe('Long story.');
    await Promise.all([short.leave(), full.leave()]);
  });

  test('shows a reply as it began, also long after it has ended', async () => {
    const { conversationId, cursor: after, replyId, script } = await begin('Long ago.');
    await script.begin('Once upon a time.');
    await script.end();
    const late = record(conversationEvents(server, { conversationId, after }));
    await late.until(completed);
    expect(late.events[1]).toMatchObject({
      __typename: 'MessageCreated',
      message: { id: replyId, status: 'IN_PROGRESS', text: '', fragments: [] },
    });
    expect(late.events[2]).toMatchObject({ fragment: { status: 'IN_PROGRESS', text: '' } });
    await late.leave();
  });
});

describe('a follower that joins a reply that is told without a pause', () => {
  test('is told it as it comes', async () => {
    const { replyId, script } = await begin('Do not pause.');
    let joined = false;
    const telling = (async () => {
      await script.begin();
      for (let word = 0; !joined; word += 1) {
        await script.write(`${word} `);
        await setImmediate();
      }
    })();
    try {
      for (let i = 0; i < 3; i += 1) {
        const follower = record(replyEvents(server, { replyId }));
        await follower.until((events) => events.some(({ __typename }) => __typename === 'FragmentDelta'));
        await follower.leave();
      }
    } finally {
      joined = true;
      await telling;
    }
    await script.end();
  });

  test('costs a reading of the rows now and then, not one for each delta', async () => {
    const { replyId, script } = await begin('Word by word.');
    const words = Array.from({ length: 100 }, (_, i) => `${i} `);
    await script.begin();
    const queries = vi.spyOn(server.services.pool, 'query');
    const follower = record(replyEvents(server, { replyId }));
    for (const word of words) {
      await script.write(word);
      await setTimeout(10);
    }
    await follower.until((events) => textOf(events, replyId) === words.join(''));
    const readings = queries.mock.calls.filter(([query]) => JSON.stringify(query).includes('"read-fragments"'));
    queries.mockRestore();
    // About a second has passed, in which text was stored five times.
    expect(readings.length).toBeLessThan(25);
    await script.end();
    await follower.ended();
  });
});

describe('a follower that leaves', () => {
  test.each([
    ['by WebSocket', subscribeWs],
    ['by SSE', subscribeSse],
  ])('%s does not stop the reply', async (name, subscribe) => {
    const { replyId, script } = await begin(`Goodbye ${name}.`);
    const follower = record(replyEvents(server, { replyId }, subscribe));
    await script.begin('Still ');
    await follower.until((events) => textOf(events, replyId) === 'Still ');
    await follower.leave();
    await script.write('here.');
    await script.end();
    await record(replyEvents(server, { replyId })).ended();
    expect(await readMessage(server, replyId)).toMatchObject({ status: 'DONE', text: 'Still here.' });
  });

  test('while it awaits the reply of its own send does not stop it either', async () => {
    const { id: conversationId, cursor: after } = await idle();
    const abort = new AbortController();
    const sending = fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` },
      body: JSON.stringify({
        query: 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }',
        variables: { input: { conversationId, content: { text: 'I hang up.' }, awaitReply: true } },
      }),
      signal: abort.signal,
    });
    const script = await runtime.replyTo('I hang up.');
    await script.begin('Hello');
    abort.abort();
    await expect(sending).rejects.toThrow();
    await script.write('? Hello?');
    await script.end();
    const follower = record(conversationEvents(server, { conversationId, after }));
    await follower.until(completed);
    expect(follower.events.at(-1)).toMatchObject({ message: { status: 'DONE', text: 'Hello? Hello?' } });
    await follower.leave();
  });
});

test('only a page that ends with the latest message has a cursor to follow from', async () => {
  const { conversationId, replyId, script } = await begin('Which page?');
  await script.begin('This one.');
  await script.end();
  await record(replyEvents(server, { replyId })).ended();
  const cursors = async (args: string) => {
    const query = `query ($id: ID!) { conversation(id: $id) { messages${args} { eventCursor pageInfo { endCursor } } } }`;
    const { conversation } = await ask<{
      conversation: { messages: { eventCursor: string | null; pageInfo: { endCursor: string } } };
    }>(server, query, { id: conversationId });
    return conversation.messages;
  };
  const { eventCursor, pageInfo } = await cursors('(last: 1)');
  expect(eventCursor).toEqual(expect.any(String));
  expect((await cursors('')).eventCursor).toBe(eventCursor);
  for (const args of ['first: 50', `last: 1, before: "${pageInfo.endCursor}"`, `after: "${pageInfo.endCursor}"`]) {
    expect((await cursors(`(${args})`)).eventCursor).toBeNull();
  }
});

test('the cursor of a page that was read in mid-reply brings the whole reply', async () => {
  const { conversationId, replyId, script } = await begin('Join the page.');
  await script.begin('What was ');
  await record(replyEvents(server, { replyId })).until((events) => textOf(events, replyId) === 'What was ');
  const { conversation } = await ask<{ conversation: { messages: { eventCursor: string; nodes: { id: string }[] } } }>(
    server,
    'query ($id: ID!) { conversation(id: $id) { messages(last: 50) { eventCursor nodes { id text } } } }',
    { id: conversationId },
  );
  expect(conversation.messages.nodes.at(-1)).toEqual({ id: replyId, text: expect.stringMatching(/^(What was )?$/) });
  await script.write('said.');
  await script.end();
  const follower = record(conversationEvents(server, { conversationId, after: conversation.messages.eventCursor }));
  await follower.until(completed);
  // The reply itself is on the page already, so the stream does not announce it again.
  expect(names(follower.events)).toEqual(['FragmentStarted', 'FragmentDelta', 'FragmentCompleted', 'MessageCompleted']);
  expect(follower.events[1]).toMatchObject({ offset: 0, text: 'What was said.' });
  await follower.leave();
});
