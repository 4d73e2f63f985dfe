import { parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { findViewerByKey } from '../src/access/api-keys.ts';
import { settleReply } from '../src/conversations/log/settle.ts';
import { inTransaction } from '../src/db.ts';
import { createContext } from '../src/graphql/context.ts';
import { Groups } from '../src/graphql/delivery/groups.ts';
import { subscribe } from '../src/graphql/delivery/subscribe.ts';
import { schema } from '../src/graphql/schema.ts';
import { decodeId } from '../src/ids.ts';
import { ask, subscribeSse, type Target } from './harness/client.ts';
import { createConversation, type MessageData, readMessage, send } from './harness/commands.ts';
import { conversationEvents, conversationEventsQuery, type Event } from './harness/events.ts';
import { textOf } from './harness/fold.ts';
import { record, type Recording } from './harness/recording.ts';
import { createAgent, type Script, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let other: Awaited<ReturnType<typeof startServer>>;
let agentId: string;

beforeAll(async () => {
  other = await startServer(server.databaseUrl, { runtimes: [runtime] });
  agentId = await createAgent(server.services, 'scripted');
});
afterAll(() => other.close());

type Input = Record<string, unknown>;

/** Gives a command that must succeed. */
async function give(target: Target, mutation: string, input: Input): Promise<void> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { result } = await ask<{ result: { __typename: string } }>(
    target,
    `mutation ($input: ${type}!) { result: ${mutation}(input: $input) { __typename } }`,
    { input },
  );
  expect(result.__typename).toMatch(/Payload$/);
}

const content = { text: 'Stop.' };
const interrupt = { content, onBusy: 'INTERRUPT' };

/** What ends a running reply from outside, and the event that a follower is told of it last. */
const fences: [name: string, mutation: string, input: Input, last: string][] = [
  ['startHandoff', 'startHandoff', {}, 'HandoffStarted'],
  ['endConversation', 'endConversation', {}, 'ConversationEnded'],
  ['deleteConversation', 'deleteConversation', {}, 'ConversationDeleted'],
  ['sendMessage with INTERRUPT', 'sendMessage', { ...interrupt, action: 'NONE' }, 'MessageCreated'],
  ['addAgentMessage with INTERRUPT', 'addAgentMessage', interrupt, 'MessageCreated'],
  ['sendControl with INTERRUPT', 'sendControl', interrupt, 'MessageCreated'],
];

const SAID = 'Said before 🙂 ';
let count = 0;

interface Running {
  conversationId: string;
  replyId: string;
  script: Script;
  /** One of each server, which have all seen what was said before. */
  followers: Recording<Event>[];
}

/** A reply that runs on the first server, and two who follow it. */
async function runningReply(): Promise<Running> {
  const text = `Talk on and on. (${(count += 1)})`;
  const created = await createConversation(server, { agentId, message: { content: { text } } });
  const { id: conversationId } = created.conversation;
  const script = await runtime.replyTo(text);
  const followers = [server, other].map((target) =>
    record(conversationEvents(target, { conversationId, after: created.cursor }, subscribeSse)),
  );
  await script.begin(SAID);
  const replyId = created.reply?.id ?? '';
  await Promise.all(followers.map((each) => each.until((events) => textOf(begun(replyId, events), replyId) === SAID)));
  return { conversationId, replyId, script, followers };
}

/** What was seen, from the beginning of the reply: a follower who came later was told of it before. */
function begun(replyId: string, events: readonly Event[]): Event[] {
  const message = { id: replyId, role: 'AGENT', status: 'IN_PROGRESS', text: '', fragments: [] };
  return [{ __typename: 'MessageCreated', version: 0, cursor: '', conversationId: '', message }, ...events];
}

/** The runtime goes on talking, whatever the server makes of it, and at last ends its reply. */
async function talkOn(script: Script): Promise<void> {
  for (let i = 1; i <= 50; i += 1) await script.write(`LATE ${i} `);
  await script.end();
}

/** The runtime talks without a pause while something else is done. */
async function talkWhile(script: Script, work: Promise<void>): Promise<void> {
  let done = false;
  const finished = work.finally(() => (done = true));
  while (!done) await Promise.all([script.write('LATE '), new Promise(setImmediate)]);
  await finished;
}

/** Every character that is stored of a reply, in fragments and in chunks; null when the reply is gone. */
async function stored(replyId: string): Promise<{ status: string; texts: string | null; chunks: number } | undefined> {
  const { rows } = await server.services.pool.query<{ status: string; texts: string | null; chunks: number }>(
    `SELECT status, (SELECT string_agg(text, '|' ORDER BY index) FROM fragment WHERE message_id = m.id) AS texts,
      (SELECT count(*)::int FROM chunk WHERE message_id = m.id) AS chunks
     FROM message m WHERE id = $1`,
    [decodeId('Message', replyId)],
  );
  return rows[0];
}

/** All of the log that every follower must have been told, by another event that comes after. */
async function settled({ conversationId, followers }: Running, last: string): Promise<void> {
  if (last !== 'ConversationDeleted') {
    await give(server, 'updateConversation', { conversationId, title: 'The last event' });
    await Promise.all(followers.map((each) => each.until((events) => isUpdated(events.at(-1)))));
  }
  await Promise.all(followers.map((each) => (last === 'ConversationDeleted' ? each.ended() : each.leave())));
}

const isUpdated = (event: Event | undefined) => (event?.__typename as string | undefined) === 'ConversationUpdated';
const names = (events: readonly Event[]) => events.map(({ __typename }) => __typename as string);

describe.each(fences)('after %s', (_name, mutation, input, last) => {
  test.each<[string, () => Target]>([
    ['the same server', () => server],
    ['another server', () => other],
  ])('on %s, a reply that goes on talking is neither stored nor heard any more', async (_where, target) => {
    const running = await runningReply();
    const { conversationId, replyId, script, followers } = running;
    await give(target(), mutation, { conversationId, ...input });
    const deleted = last === 'ConversationDeleted';
    const expected = deleted ? undefined : { status: 'STOPPED', texts: SAID, chunks: 0 };
    // A server that is not the reply's own may cut what was not stored yet, but here all had been stored or held still.
    const atOnce = await stored(replyId);
    expect(deleted ? atOnce : { ...atOnce, texts: SAID }).toEqual(expected);

    await script.aborted;
    await talkOn(script);
    await settled(running, last);
    expect(await stored(replyId)).toEqual(atOnce);
    for (const { events } of followers) {
      expect(JSON.stringify(events)).not.toContain('LATE');
      const told = names(events);
      const end = told.indexOf(deleted ? last : 'MessageCompleted');
      expect(told.slice(end)).toEqual(deleted ? [last] : ['MessageCompleted', last, 'ConversationUpdated']);
      if (!deleted) expect(textOf(begun(replyId, events), replyId)).toBe(atOnce?.texts);
    }
  });
});

describe('a reply that talks on without a pause while', () => {
  test.each(fences)('%s comes from another server ends everywhere with the text that is stored', async (...fence) => {
    const [, mutation, input, last] = fence;
    const running = await runningReply();
    const { conversationId, replyId, script, followers } = running;
    await talkWhile(script, give(other, mutation, { conversationId, ...input }));
    const atOnce = await stored(replyId);
    await talkWhile(script, script.aborted);
    await talkOn(script);
    await settled(running, last);
    expect(await stored(replyId)).toEqual(atOnce);
    for (const { events } of followers) {
      const told = names(events);
      if (last === 'ConversationDeleted') expect(told.filter((name) => name === last)).toHaveLength(1);
      else {
        expect(told.slice(told.indexOf('MessageCompleted'))).toEqual(['MessageCompleted', last, 'ConversationUpdated']);
        expect(textOf(begun(replyId, events), replyId)).toBe(atOnce?.texts);
      }
    }
  });

  test.each(fences)('%s comes from its own server loses nothing that was heard', async (...fence) => {
    const [, mutation, input, last] = fence;
    const running = await runningReply();
    const { conversationId, replyId, script, followers } = running;
    await talkWhile(script, give(server, mutation, { conversationId, ...input }));
    const atOnce = await stored(replyId);
    await talkOn(script);
    await settled(running, last);
    expect(await stored(replyId)).toEqual(atOnce);
    const [own] = followers;
    const corrections = own?.events.filter((event) => event.__typename === 'FragmentDelta' && event.text === '');
    expect(corrections).toEqual([]);
  });
});

test('whoever resumes in the middle of a reply after its conversation was deleted is told so', async () => {
  const { conversationId, script, followers } = await runningReply();
  const cursors = followers.map(({ events }) => events.at(-1)?.cursor ?? '');
  await give(other, 'deleteConversation', { conversationId });
  await script.aborted;
  for (const target of [server, other]) {
    for (const after of cursors) {
      const late = record(conversationEvents(target, { conversationId, after }, subscribeSse));
      expect(names(await late.ended())).toEqual(['ConversationDeleted']);
    }
  }
});

describe('a reply that was held still for a command while it was ended elsewhere without a word', () => {
  /** A server of its own with such a reply. */
  async function heldStill() {
    const own = await startServer(server.databaseUrl, { runtimes: [runtime] });
    const { runner, pool } = own.services;
    const text = `Hold still. (${(count += 1)})`;
    const { conversation, reply } = await createConversation(own, { agentId, message: { content: { text } } });
    const script = await runtime.replyTo(text);
    await script.begin(SAID);

    const suspend = runner.suspend.bind(runner);
    runner.suspend = async (replyId) => {
      const resume = await suspend(replyId);
      const conversationId = decodeId('Conversation', conversation.id) ?? '';
      const actor = { kind: 'SYSTEM' } as const;
      // What another server would do; its hint is lost.
      await inTransaction(pool, (db) => settleReply(db, { conversationId, replyId, actor }, { status: 'STOPPED' }));
      return resume;
    };
    await give(own, 'startHandoff', { conversationId: conversation.id });
    return { own, script, replyId: reply?.id ?? '' };
  }

  test('does not keep its server from closing', async () => {
    const { own, script, replyId } = await heldStill();
    await Promise.all([own.close(), talkOn(script)]);
    expect(await stored(replyId)).toEqual({ status: 'STOPPED', texts: SAID, chunks: 0 });
  });

  test('goes on until it finds that it has ended, and is aborted', async () => {
    const { own, script, replyId } = await heldStill();
    await script.write('LATE');
    await script.aborted;
    expect(await stored(replyId)).toEqual({ status: 'STOPPED', texts: SAID, chunks: 0 });
    await own.close();
  });
});

test('whoever had not yet read the last events of a conversation when it was deleted is told of that without a fault', async () => {
  const { services } = server;
  const viewer = await findViewerByKey(services.pool, server.key);
  if (!viewer) throw new Error('The server has no first key.');
  const { conversation, cursor: after } = await createConversation(server, { agentId, action: 'NONE' });
  const uuid = decodeId('Conversation', conversation.id) ?? '';
  const held = await services.feedRegistry.acquire(uuid);
  const written: Buffer[] = [];
  const wire = {
    isOpen: true,
    isFull: false,
    write: (results: readonly Buffer[]) => void written.push(...results),
    drained: () => Promise.resolve(),
  };
  const stream = await subscribe(new Groups(), {
    schema,
    document: parse(conversationEventsQuery),
    variableValues: { conversationId: conversation.id, after },
    contextValue: createContext(services, viewer, wire),
  });
  if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
  // The server knows of the message, and its reader does not ask for it before it is gone.
  await give(server, 'sendMessage', { conversationId: conversation.id, content, action: 'NONE' });
  await held?.feed.refresh();
  await give(server, 'deleteConversation', { conversationId: conversation.id });
  // It reads from here on.
  expect(await stream.next()).toMatchObject({ done: true });
  held?.release();
  const result = z.object({ data: z.unknown(), errors: z.array(z.unknown()).optional() });
  const results = written.map((json) => result.parse(JSON.parse(json.toString())));
  expect(results.flatMap(({ errors }) => errors ?? [])).toEqual([]);
  expect(results.at(-1)?.data).toMatchObject({ event: { __typename: 'ConversationDeleted' } });
});

interface HandoffData {
  status: string;
  reason: string | null;
  queue: string | null;
  assignee: string | null;
  startedAt: string;
  acceptedAt: string | null;
  endedAt: string | null;
}

interface Read {
  status: string;
  handoff: HandoffData | null;
  handoffs: { nodes: HandoffData[] };
  messages: { nodes: (MessageData & { author: { kind: string; displayName: string | null } })[] };
}

async function read(conversationId: string): Promise<Read> {
  const { conversation } = await ask<{ conversation: Read }>(
    server,
    /* GraphQL */ `
      query ($id: ID!) {
        conversation(id: $id) {
          status
          handoff {
            ...H
          }
          handoffs {
            nodes {
              ...H
            }
          }
          messages {
            nodes {
              role
              status
              text
              author {
                kind
                displayName
              }
            }
          }
        }
      }
      fragment H on Handoff {
        status
        reason
        queue
        assignee
        startedAt
        acceptedAt
        endedAt
      }
    `,
    { id: conversationId },
  );
  return conversation;
}

/** The conversations with a handoff like this in force. */
async function withHandoff(status: string): Promise<string[]> {
  const { conversations } = await ask<{ conversations: { nodes: { id: string }[] } }>(
    server,
    `query ($status: OpenHandoffStatus!) {
      conversations(filter: { handoffStatus: [$status] }) { nodes { id } }
    }`,
    { status },
  );
  return conversations.nodes.map(({ id }) => id);
}

/** Resolves when so many statements wait for a lock. */
async function blocked(count: number): Promise<void> {
  for (;;) {
    const { rows } = await server.services.pool.query<{ count: number }>(
      `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if ((rows[0]?.count ?? 0) >= count) return;
  }
}

describe('a handoff', () => {
  async function newConversation(): Promise<string> {
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    return conversation.id;
  }

  test('shows who waits, since when and for whom, until a human comes', async () => {
    const conversationId = await newConversation();
    await give(server, 'startHandoff', { conversationId, reason: 'Wants a refund.', queue: 'billing' });
    const waiting = { status: 'WAITING', reason: 'Wants a refund.', queue: 'billing', assignee: null };
    const { status, handoff } = await read(conversationId);
    expect(status).toBe('HANDED_OFF');
    expect(handoff).toMatchObject({ ...waiting, startedAt: expect.any(String), acceptedAt: null, endedAt: null });
    expect(await withHandoff('WAITING')).toContain(conversationId);

    await give(other, 'acceptHandoff', { conversationId, assignee: 'Ada' });
    const accepted = (await read(conversationId)).handoff;
    expect(accepted).toMatchObject({ ...waiting, status: 'ACCEPTED', assignee: 'Ada', startedAt: handoff?.startedAt });
    expect(Date.parse(accepted?.acceptedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(accepted?.startedAt ?? ''));
    expect(await withHandoff('WAITING')).not.toContain(conversationId);
    expect(await withHandoff('ACCEPTED')).toContain(conversationId);

    await give(server, 'endHandoff', { conversationId });
    expect(await withHandoff('ACCEPTED')).not.toContain(conversationId);
  });

  test('keeps what the person writes without a reply, and lets a human answer', async () => {
    const conversationId = await newConversation();
    await give(server, 'startHandoff', { conversationId, assignee: 'Ada' });
    const sent = await send(server, { conversationId, content: { text: 'Is anybody there?' } });
    expect(sent).toMatchObject({ message: { status: 'DONE', text: 'Is anybody there?' }, reply: null });
    expect(sent.conversation.runningReply).toBeNull();
    const author = { kind: 'HUMAN_AGENT', displayName: 'Ada' };
    await give(other, 'addAgentMessage', { conversationId, content: { text: 'I am.' }, author });
    await give(server, 'sendControl', { conversationId, content: { text: 'Is a customer of ten years.' } });
    expect((await read(conversationId)).messages.nodes).toMatchObject([
      { role: 'USER', status: 'DONE', text: 'Is anybody there?', author: { kind: 'END_USER' } },
      { role: 'AGENT', status: 'DONE', text: 'I am.', author },
      { role: 'CONTROL', status: 'DONE', text: 'Is a customer of ten years.' },
    ]);
  });

  test('once it has ended, lets the agent answer again, with all that was said in mind', async () => {
    const conversationId = await newConversation();
    await give(server, 'startHandoff', { conversationId });
    await send(server, { conversationId, content: { text: 'A human, please.' } });
    await give(server, 'addAgentMessage', { conversationId, content: { text: 'Here I am.' } });
    await give(server, 'endHandoff', { conversationId });
    const text = `And now you again. (${(count += 1)})`;
    const { reply } = await send(server, { conversationId, content: { text } });
    expect(reply).toMatchObject({ status: 'IN_PROGRESS' });
    const script = await runtime.replyTo(text);
    expect(script.turn.history.map((message) => message.text)).toEqual(['A human, please.', 'Here I am.', text]);
    await script.begin('Gladly.');
    await script.end();
  });

  test('stays in the history of its conversation, oldest first', async () => {
    const { conversationId, script } = await runningReply();
    await give(server, 'startHandoff', { conversationId, reason: 'first' });
    await give(server, 'endHandoff', { conversationId });
    await give(server, 'startHandoff', { conversationId, reason: 'second', assignee: 'Ada' });
    await give(server, 'endHandoff', { conversationId });
    await give(server, 'startHandoff', { conversationId, reason: 'third' });
    await give(server, 'endConversation', { conversationId });
    const { status, handoff, handoffs } = await read(conversationId);
    expect({ status, handoff }).toEqual({ status: 'ENDED', handoff: null });
    expect(handoffs.nodes).toMatchObject([
      { reason: 'first', status: 'ENDED', acceptedAt: null, endedAt: expect.any(String) },
      { reason: 'second', status: 'ENDED', assignee: 'Ada', acceptedAt: expect.any(String) },
      { reason: 'third', status: 'ENDED', acceptedAt: null, endedAt: expect.any(String) },
    ]);
    await talkOn(script);
  });

  test.each(['endHandoff', 'endConversation'])(
    'that is over before it has quite begun, by %s, is over in the history too',
    async (mutation) => {
      const conversationId = await newConversation();
      const client = await server.services.pool.connect();
      try {
        await client.query('BEGIN');
        await client.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [
          decodeId('Conversation', conversationId),
        ]);
        const starting = give(server, 'startHandoff', { conversationId });
        await blocked(1);
        const ending = give(other, mutation, { conversationId });
        await blocked(2);
        await client.query('COMMIT');
        await Promise.all([starting, ending]);
      } finally {
        client.release(true);
      }
      const { handoff, handoffs } = await read(conversationId);
      expect(handoff).toBeNull();
      expect(handoffs.nodes).toMatchObject([{ status: 'ENDED', endedAt: expect.any(String) }]);
    },
  );

  test('that stops a reply keeps what it had said as it was, also when the agent is asked again', async () => {
    const { conversationId, replyId, script } = await runningReply();
    await give(server, 'startHandoff', { conversationId });
    const stopped = await readMessage(server, replyId);
    expect(stopped).toMatchObject({
      status: 'STOPPED',
      text: SAID,
      fragments: [{ status: 'IN_PROGRESS', text: SAID }],
    });
    await give(server, 'endHandoff', { conversationId });
    const text = `Where were we? (${(count += 1)})`;
    await send(server, { conversationId, content: { text } });
    const next = await runtime.replyTo(text);
    await Promise.all([talkOn(script), next.begin('Here.').then(() => next.end())]);
    expect(await readMessage(server, replyId)).toEqual(stopped);
  });
});
