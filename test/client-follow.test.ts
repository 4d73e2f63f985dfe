import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { ConversationEvent } from '../client/events.ts';
import { applyEvent, emptyView, textOf } from '../client/fold.ts';
import { followConversation, followReply } from '../client/follow.ts';
import { FollowError, type StreamClient } from '../client/subscription.ts';
import { ask, type Target } from './harness/client.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';

type Sink = Parameters<StreamClient['subscribe']>[1];

/** A client whose connection is the test's to play. */
class PlayedClient implements StreamClient {
  readonly subscriptions: { sent: unknown; request: { variables: unknown }; sink: Sink; ended: boolean }[] = [];
  private told: (() => void)[] = [];

  subscribe(request: { query: string; variables: Record<string, unknown> }, sink: Sink): () => void {
    const subscription = {
      sent: JSON.parse(JSON.stringify(request.variables)) as unknown,
      request,
      sink,
      ended: false,
    };
    this.subscriptions.push(subscription);
    for (const tell of this.told.splice(0)) tell();
    return () => {
      subscription.ended = true;
    };
  }

  /** The n-th subscription, once it is made. */
  async nth(n: number) {
    for (;;) {
      const subscription = this.subscriptions[n];
      if (subscription) return subscription;
      await new Promise<void>((resolve) => this.told.push(resolve));
    }
  }
}

const dropped = { code: 1006, reason: '' };
const atOnce = () => Promise.resolve();
const conversation = { conversationId: 'conv_1', after: 'start', retryWait: atOnce };

function event(cursor: string, fields: Record<string, unknown> = { __typename: 'ConversationUpdated' }) {
  return { data: { event: { cursor, conversationId: 'conv_1', ...fields } } };
}

function refused(code: string) {
  return [{ message: 'No.', extensions: { code } }];
}

async function collect(events: AsyncIterable<ConversationEvent>): Promise<string[]> {
  const cursors: string[] = [];
  for await (const { cursor } of events) cursors.push(cursor);
  return cursors;
}

describe('following a conversation', () => {
  it('resumes after its last event when the socket is dropped', async () => {
    const client = new PlayedClient();
    const all = collect(followConversation(client, conversation));
    const first = await client.nth(0);
    first.sink.next(event('a'));
    first.sink.next(event('b'));
    first.sink.error(dropped);
    const second = await client.nth(1);
    second.sink.next(event('c', { __typename: 'ConversationDeleted' }));
    expect(await all).toEqual(['a', 'b', 'c']);
    expect(client.subscriptions.map(({ sent }) => sent)).toEqual([
      { conversationId: 'conv_1', fragments: true, after: 'start' },
      { conversationId: 'conv_1', fragments: true, after: 'b' },
    ]);
  });

  it('has a client that subscribes again by itself resume too', async () => {
    const client = new PlayedClient();
    const all = collect(followConversation(client, conversation));
    const { sink, request } = await client.nth(0);
    sink.next(event('a'));
    expect(JSON.parse(JSON.stringify(request.variables))).toMatchObject({ after: 'a' });
    sink.complete();
    expect(await all).toEqual(['a']);
  });

  it('lets go of each subscription', async () => {
    const client = new PlayedClient();
    const all = collect(followConversation(client, conversation));
    (await client.nth(0)).sink.error(dropped);
    (await client.nth(1)).sink.next(event('a', { __typename: 'ConversationDeleted' }));
    await all;
    expect(client.subscriptions.map(({ ended }) => ended)).toEqual([true, true]);
  });

  it.each([
    ['a fault of the server', (sink: Sink) => sink.next({ data: null, errors: refused('INTERNAL_SERVER_ERROR') })],
    ['a fault before the first event', (sink: Sink) => sink.error(refused('INTERNAL_SERVER_ERROR'))],
    ['a server that goes away', (sink: Sink) => sink.error({ code: 1001, reason: 'Going away' })],
    ['a socket that froze', (sink: Sink) => sink.error({ code: 4499, reason: 'Terminated' })],
    ['a server that cannot be reached', (sink: Sink) => sink.error(new Error('connect ECONNREFUSED'))],
  ])('tries again after %s', async (_name, fail) => {
    const client = new PlayedClient();
    const all = collect(followConversation(client, conversation));
    const { sink } = await client.nth(0);
    sink.next(event('a'));
    fail(sink);
    const { sent, sink: next } = await client.nth(1);
    next.complete();
    expect(await all).toEqual(['a']);
    expect(sent).toMatchObject({ after: 'a' });
  });

  it.each([
    ['an unknown conversation', 'NOT_FOUND', (sink: Sink) => sink.next({ errors: refused('NOT_FOUND') })],
    ['a malformed cursor', 'BAD_USER_INPUT', (sink: Sink) => sink.error(refused('BAD_USER_INPUT'))],
    ['a bad credential', '4401', (sink: Sink) => sink.error({ code: 4401, reason: 'UNAUTHENTICATED' })],
  ])('throws for %s', async (_name, code, fail) => {
    const client = new PlayedClient();
    const all = collect(followConversation(client, conversation));
    fail((await client.nth(0)).sink);
    await expect(all).rejects.toThrow(FollowError);
    await expect(all).rejects.toMatchObject({ code });
    expect(client.subscriptions).toHaveLength(1);
  });

  it('says how often it has failed since the last event, and gives up when told to', async () => {
    const client = new PlayedClient();
    const attempts: number[] = [];
    const retryWait = async (attempt: number, reason: unknown) => {
      attempts.push(attempt);
      if (attempt === 2) throw reason;
    };
    const all = collect(followConversation(client, { ...conversation, retryWait }));
    for (const n of [0, 1, 2, 3]) {
      const { sink } = await client.nth(n);
      if (n === 1) sink.next(event('a'));
      sink.error(dropped);
    }
    await expect(all).rejects.toBe(dropped);
    expect(attempts).toEqual([0, 0, 1, 2]);
  });

  it('ends without an error when it is aborted', async () => {
    const client = new PlayedClient();
    const abort = new AbortController();
    const all = collect(followConversation(client, { ...conversation, signal: abort.signal }));
    const { sink } = await client.nth(0);
    sink.next(event('a'));
    await new Promise(setImmediate);
    abort.abort();
    expect(await all).toEqual(['a']);
    expect(client.subscriptions.map(({ ended }) => ended)).toEqual([true]);
  });

  it('ends when its iterator is returned, also while it waits', async () => {
    const client = new PlayedClient();
    const iterator = followConversation(client, { ...conversation, retryWait: () => new Promise(() => {}) });
    const next = iterator.next();
    await client.nth(0);
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(client.subscriptions.map(({ ended }) => ended)).toEqual([true]);
  });
});

describe('following a reply', () => {
  it('ends with the end of that reply, of which nothing more can come', async () => {
    const client = new PlayedClient();
    const all = collect(followReply(client, { replyId: 'msg_1', retryWait: atOnce }));
    const { sink, sent } = await client.nth(0);
    sink.next(event('a', { __typename: 'MessageCompleted', message: { id: 'msg_1' } }));
    expect(await all).toEqual(['a']);
    expect(sent).toEqual({ replyId: 'msg_1', after: null });
  });
});

describe('following on a server', () => {
  const runtime = new ScriptedRuntime();
  const server = useServer({ runtimes: [runtime] });
  const clients: Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.dispose();
  });

  function connect(urls = [server.url], key = server.key): Client {
    let connections = 0;
    const client = createClient({
      url: () => `${(urls[connections++ % urls.length] ?? '').replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${key}` },
      retryAttempts: 0,
    });
    clients.push(client);
    return client;
  }

  it('gives exactly the stored text, however often the socket breaks and whichever server answers', async () => {
    const other = await startServer(server.databaseUrl);
    try {
      const client = connect([server.url, other.url]);
      const { cursor: after, reply } = await start(
        server,
        `agentId: "${await createAgent(server.services, 'scripted')}"`,
      );
      const script = await runtime.replyTo('Hello!');
      let [text, breaks] = ['', 0];
      const speak = async () => {
        await script.begin();
        // Until the socket has broken often enough, at the pace of an agent.
        for (let n = 0; breaks < 6; n += 1) {
          text += `word ${n} 👍🏽 `;
          await script.write(`word ${n} 👍🏽 `);
          await sleep(10);
        }
        await script.end();
      };
      const spoken = speak();
      let view = emptyView;
      for await (const received of followReply(client, { replyId: reply?.id ?? '', after, retryWait: atOnce })) {
        view = applyEvent(view, received);
        if (received.__typename !== 'FragmentDelta') continue;
        client.terminate();
        breaks += 1;
      }
      await spoken;
      expect(view.messages).toMatchObject([{ id: reply?.id, status: 'DONE' }]);
      expect(view.messages.map(textOf)).toEqual([text]);
    } finally {
      await other.close();
    }
  });

  it('ends with the deletion of the conversation, also when it comes right after other changes', async () => {
    const { cursor: after, conversation } = await start(server, 'action: NONE');
    const change = (title: string) =>
      `${title}: updateConversation(input: { conversationId: $id, title: "${title}" }) { __typename }`;
    const events = followConversation(connect(), { conversationId: conversation.id, after, retryWait: atOnce });
    const followed = fold(events);
    await ask(
      server,
      `mutation ($id: ID!) { ${['a', 'b', 'c'].map(change).join(' ')} deleteConversation(input: { conversationId: $id }) { __typename } }`,
      { id: conversation.id },
    );
    expect(await followed).toMatchObject({ deleted: true });
  });

  it('throws when there is no such conversation or reply, for a cursor of another conversation, and for a wrong key', async () => {
    const one = await start(server, 'action: NONE');
    const another = await start(server, 'action: NONE');
    const from = (conversationId: string, after: string, client = connect()) =>
      collect(followConversation(client, { conversationId, after, retryWait: atOnce }));
    await expect(from('conv_1', one.cursor)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(from(one.conversation.id, another.cursor)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(from(one.conversation.id, one.cursor, connect(undefined, 'wrong'))).rejects.toMatchObject({
      code: '4401',
    });
    await expect(collect(followReply(connect(), { replyId: 'msg_1' }))).rejects.toThrow('There is no such reply.');
  });
});

interface Started {
  cursor: string;
  conversation: { id: string };
  reply: { id: string } | null;
}

async function start(target: Target, input: string): Promise<Started> {
  const { createConversation } = await ask<{ createConversation: Started }>(
    target,
    `mutation { createConversation(input: { ${input}, message: { content: { text: "Hello!" } } }) {
      ... on CreateConversationPayload { cursor conversation { id } reply { id } } } }`,
  );
  return createConversation;
}

async function fold(events: AsyncIterable<ConversationEvent>) {
  let view = emptyView;
  for await (const received of events) view = applyEvent(view, received);
  return view;
}
