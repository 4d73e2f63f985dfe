import { beforeEach, expect, test } from 'vitest';
import { addContact, firstOrganization, mintToken } from './harness/access.ts';
import { ask, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

let person: Target;
let replyId: string;
let messageId: string;
beforeEach(async () => {
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  const input = {
    contactId,
    awaitReply: true,
    message: { content: { text: 'What is Parley?' } },
    runtimeParameters: { wordsPerSecond: 0 },
  };
  const { reply, message } = await createConversation(server, input);
  [replyId, messageId] = [reply?.id ?? '', message?.id ?? ''];
  person = { url: server.url, key: await mintToken(server, { contactId, grants: ['RATE'] }) };
});

interface Rated {
  conversation?: { version: number };
  reply?: { feedback: { rating: string; comment: string | null; createdAt: string } | null };
  issues?: { path: string[] }[];
  path?: string[];
}
const rate = async (target: Target, rating: string | null, comment: string | null = null, id = replyId) =>
  (
    await ask<{ rated: Rated }>(
      target,
      `mutation ($input: RateReplyInput!) { rated: rateReply(input: $input) {
        ... on RateReplyPayload { conversation { version } reply { feedback { rating comment createdAt } } }
        ... on InvalidInputError { issues { path } } ... on NotFoundError { path }
      } }`,
      { input: { replyId: id, rating, comment } },
    )
  ).rated;

const eventsOf = async () => {
  const { message } = await ask<{ message: { conversation: { events: { nodes: { __typename: string }[] } } } }>(
    server,
    `{ message(id: "${replyId}") { conversation { events(first: 50) { nodes {
      __typename ... on FeedbackGiven { message { id feedback { rating } } actor { __typename } }
    } } } } }`,
  );
  return message.conversation.events.nodes.filter(({ __typename: type }) => type === 'FeedbackGiven');
};

test('an end user rates a reply, changes their mind and takes it back, and the log tells of each', async () => {
  const first = await rate(person, 'DOWN', 'Not what I asked.');
  expect(first.reply?.feedback).toMatchObject({ rating: 'DOWN', comment: 'Not what I asked.' });
  expect((await rate(person, 'UP')).reply?.feedback).toMatchObject({ rating: 'UP', comment: null });
  expect(await eventsOf()).toEqual(
    Array.from({ length: 2 }, () => ({
      __typename: 'FeedbackGiven',
      message: { id: replyId, feedback: { rating: 'UP' } },
      actor: { __typename: 'EndUserActor' },
    })),
  );
  expect((await rate(person, null)).reply?.feedback).toBeNull();
  expect(await eventsOf()).toHaveLength(3);
});

test('the same rating again, and taking back what is not there, change nothing', async () => {
  const before = await rate(person, 'UP', 'Thanks');
  expect(await rate(person, 'UP', 'Thanks')).toEqual(before);
  const taken = await rate(person, null);
  expect((await rate(person, null)).conversation).toEqual(taken.conversation);
  expect(await eventsOf()).toHaveLength(2);
});

test('of two ratings at once the later one stays, and both are logged', async () => {
  await Promise.all([rate(person, 'UP'), rate(server, 'DOWN')]);
  expect(await eventsOf()).toHaveLength(2);
});

test('what is no reply, or a comment that is too long or without a rating, is refused', async () => {
  expect((await rate(person, 'UP', null, messageId)).issues).toEqual([{ path: ['replyId'] }]);
  expect((await rate(person, 'UP', 'x'.repeat(1025))).issues).toEqual([{ path: ['comment'] }]);
  expect((await rate(person, null, 'Why?')).issues).toEqual([{ path: ['comment'] }]);
  expect((await rate(person, 'UP', null, 'msg_00000000000000000000000000')).path).toEqual(['replyId']);
});

test('a rating goes with its conversation', async () => {
  await rate(person, 'UP');
  const { message } = await ask<{ message: { conversation: { id: string } } }>(
    server,
    `{ message(id: "${replyId}") { conversation { id } } }`,
  );
  await ask(
    server,
    `mutation { deleteConversation(input: { conversationId: "${message.conversation.id}" }) { __typename } }`,
  );
  const { rows } = await server.services.pool.query(
    'SELECT FROM feedback f WHERE NOT EXISTS (SELECT FROM message m WHERE m.id = f.message_id)',
  );
  expect(rows).toEqual([]);
});
