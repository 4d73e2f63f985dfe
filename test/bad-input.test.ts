import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeId, newId } from '../src/ids.ts';
import { graphql, type Target } from './harness/client.ts';
import { createConversation, trySend } from './harness/commands.ts';
import { addTenant } from './harness/products.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let conversationId: string;
let foreign: { conversationId: string; messageId: string; agentId: string };
let foreigner: Target;
beforeAll(async () => {
  const message = { content: { text: 'Mine.' } };
  conversationId = (await createConversation(server, { action: 'NONE', message })).conversation.id;
  foreigner = await addTenant(server, 'knowledge');
  const theirs = await createConversation(foreigner, { action: 'NONE', message });
  const organization = await server.services.prisma.conversation.findFirstOrThrow({ orderBy: { id: 'desc' } });
  foreign = {
    conversationId: theirs.conversation.id,
    messageId: theirs.message?.id ?? '',
    agentId: encodeId('Agent', organization.agentId),
  };
});

// Whatever is refused here must leave everything as it was.
let before: Record<string, number>;
beforeEach(async () => {
  before = await countRows(server.services.pool);
});
afterEach(async () => {
  expect(await countRows(server.services.pool)).toEqual(before);
});

const KiB = 1024;
const ids: [string, (type: 'Conversation' | 'Message') => string][] = [
  ['malformed', () => 'nonsense'],
  ['empty', () => ''],
  ['of another kind', (type) => encodeId(type === 'Message' ? 'Conversation' : 'Message', newId())],
  ['unknown', (type) => encodeId(type, newId())],
  ['of another organization', (type) => (type === 'Message' ? foreign.messageId : foreign.conversationId)],
];

/** What `createConversation` makes of an input, as it came over the wire. */
async function tryCreate(input: Record<string, unknown>): Promise<unknown> {
  const query = `mutation ($input: CreateConversationInput!) {
    result: createConversation(input: $input) {
      __typename
      ... on UserError { detail }
      ... on NotFoundError { path }
      ... on InvalidInputError { issues { path detail } }
    }
  }`;
  const { data } = await graphql<{ result: unknown }>(server, query, { input });
  return data?.result;
}

function notFound(...path: string[]): unknown {
  return expect.objectContaining({ __typename: 'NotFoundError', path });
}

/** An invalid input with a fault at exactly these places. */
function invalid(...paths: string[][]): unknown {
  const issues = paths.map((path) => ({ path, detail: expect.stringMatching(/\.$/) }));
  return expect.objectContaining({ __typename: 'InvalidInputError', detail: expect.any(String), issues });
}

describe.each(ids)('an id that is %s', (_case, idOf) => {
  test('is not found by a mutation, which names its place', async () => {
    const content = { text: 'Hello?' };
    expect(await trySend(server, { conversationId: idOf('Conversation'), content })).toEqual(
      notFound('conversationId'),
    );
    const overriding = { conversationId: idOf('Conversation'), content, runtimeParameters: {} };
    expect(await trySend(server, overriding)).toEqual(notFound('conversationId'));
    expect(await trySend(server, { conversationId, content, contactId: idOf('Message') })).toEqual(
      notFound('contactId'),
    );
    for (const name of ['agentId', 'contactId', 'inboxId', 'corpusId']) {
      expect(await tryCreate({ [name]: idOf('Message') })).toEqual(notFound(name));
    }
    const message = { content, contactId: idOf('Message') };
    expect(await tryCreate({ message })).toEqual(notFound('message', 'contactId'));
    const stop = `mutation ($id: ID!) { stopReply(input: { replyId: $id }) { __typename ... on NotFoundError { path } } }`;
    const { data } = await graphql(server, stop, { id: idOf('Message') });
    expect(data).toEqual({ stopReply: { __typename: 'NotFoundError', path: ['replyId'] } });
  });

  test('reads as null', async () => {
    const query =
      'query ($c: ID!, $m: ID!) { conversation(id: $c) { id } message(id: $m) { id } a: node(id: $c) { id } b: node(id: $m) { id } }';
    const { data } = await graphql(server, query, { c: idOf('Conversation'), m: idOf('Message') });
    expect(data).toEqual({ conversation: null, message: null, a: null, b: null });
  });
});

test("an agent of another organization is not found, and neither is anything in one's own lists", async () => {
  expect(await tryCreate({ agentId: foreign.agentId })).toEqual(notFound('agentId'));
  const { data } = await graphql<{ conversations: { nodes: { id: string }[] } }>(
    server,
    '{ conversations(first: 100) { nodes { id } } }',
  );
  expect(data?.conversations.nodes).toEqual([{ id: conversationId }]);
});

const NUL = 'a\0b';
const half = 'a\ud83d';

describe('content', () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    ['an empty text', { text: '' }, ['text']],
    ['a text over 1 MiB', { text: 'x'.repeat(KiB * KiB + 1) }, ['text']],
    ['a text over 1 MiB of UTF-8', { text: 'é'.repeat((KiB * KiB) / 2 + 1) }, ['text']],
    ['a text with NUL', { text: NUL }, ['text']],
    ['a text with half a surrogate pair', { text: half }, ['text']],
    ['no fragments', { fragments: [] }, ['fragments']],
    ['1001 fragments', { fragments: Array.from({ length: 1001 }, () => ({ text: { text: 'x' } })) }, ['fragments']],
    ['an empty fragment', { fragments: [{ text: { text: '' } }] }, ['fragments', '0', 'text', 'text']],
    ['a fragment with NUL', { fragments: [{ text: { text: NUL } }] }, ['fragments', '0', 'text', 'text']],
    [
      'fragments over 1 MiB in all',
      { fragments: Array.from({ length: 3 }, () => ({ text: { text: 'x'.repeat(400 * KiB) } })) },
      ['fragments'],
    ],
    [
      'an answer to a call that is not there',
      { fragments: [{ functionResponse: { name: 'f', callIndex: 0 } }] },
      ['fragments', '0', 'functionResponse', 'callIndex'],
    ],
    [
      'an answer to a later call',
      { fragments: [{ functionResponse: { name: 'f', callIndex: 1 } }, { functionCall: { name: 'f', args: {} } }] },
      ['fragments', '0', 'functionResponse', 'callIndex'],
    ],
    [
      'NUL deep in the arguments of a call',
      { fragments: [{ functionCall: { name: 'f', args: { list: [1, { deep: NUL }] } } }] },
      ['fragments', '0', 'functionCall', 'args', 'list', '1', 'deep'],
    ],
    [
      'half a surrogate pair in the name of an argument',
      { fragments: [{ functionCall: { name: 'f', args: { [half]: 1 } } }] },
      ['fragments', '0', 'functionCall', 'args', half],
    ],
  ])('of %s is refused, and the fault is named', async (_case, content, path) => {
    expect(await trySend(server, { conversationId, content })).toEqual(invalid(['content', ...path]));
    expect(await tryCreate({ message: { content } })).toEqual(invalid(['message', 'content', ...path]));
  });
});

describe('another field', () => {
  const large = { text: 'x'.repeat(64 * KiB) };
  const deep = JSON.parse(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}`) as unknown;
  test.each<[string, Record<string, unknown>, string[]]>([
    ['metadata over 64 KiB', { metadata: large }, ['metadata']],
    ['metadata with NUL', { metadata: { note: NUL } }, ['metadata', 'note']],
    ['content payload over 64 KiB', { contentPayload: large }, ['contentPayload']],
    ['query metadata over 64 KiB', { queryMetadata: large }, ['queryMetadata']],
    [
      'canvas over 1 MiB',
      { canvas: { name: 'n', type: 't', title: 't', content: 'x'.repeat(KiB * KiB + 1) } },
      ['canvas', 'content'],
    ],
    ['name of more than 1 KiB', { author: { displayName: 'x'.repeat(KiB + 1) } }, ['author', 'displayName']],
    ['picture that is not on the web', { author: { avatarUrl: 'file:///etc/passwd' } }, ['author', 'avatarUrl']],
    ['context over 256 KiB', { stateAfter: { context: 'x'.repeat(256 * KiB) } }, ['stateAfter', 'context']],
    ['playbook with half a surrogate pair', { stateAfter: { playbook: half } }, ['stateAfter', 'playbook']],
    ['idempotency key of no characters', { idempotencyKey: '' }, ['idempotencyKey']],
    ['idempotency key of 256 characters', { idempotencyKey: 'x'.repeat(256) }, ['idempotencyKey']],
    ['idempotency key with NUL', { idempotencyKey: NUL }, ['idempotencyKey']],
    [
      'runtime parameter out of range',
      { runtimeParameters: { wordsPerSecond: -1 } },
      ['runtimeParameters', 'wordsPerSecond'],
    ],
    [
      'runtime parameter of another type',
      { runtimeParameters: { wordsPerSecond: '9' } },
      ['runtimeParameters', 'wordsPerSecond'],
    ],
    ['unknown runtime parameter', { runtimeParameters: { warmth: 0.7 } }, ['runtimeParameters', 'warmth']],
  ])('that is a %s is refused, and the fault is named', async (_case, fields, path) => {
    expect(await trySend(server, { conversationId, content: { text: 'x' }, ...fields })).toEqual(invalid(path));
  });

  test('that is nested too deep is refused', async () => {
    const result = await trySend(server, { conversationId, content: { text: 'x' }, metadata: deep });
    expect(result).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ detail: expect.stringMatching(/deep/) }],
    });
  });

  test.each<[string, Record<string, unknown>, string[]]>([
    ['title', { title: 'x'.repeat(KiB + 1) }, ['title']],
    ['title', { title: NUL }, ['title']],
    ['system prompt', { systemPrompt: 'x'.repeat(64 * KiB + 1) }, ['systemPrompt']],
    ['metadata', { metadata: large }, ['metadata']],
    ['state', { state: { systemMessage: 'x'.repeat(64 * KiB + 1) } }, ['state', 'systemMessage']],
    ['runtime parameter', { runtimeParameters: { wordsPerSecond: null } }, ['runtimeParameters', 'wordsPerSecond']],
  ])('of a new conversation, a bad %s, is refused', async (_case, input, path) => {
    expect(await tryCreate(input)).toEqual(invalid(path));
  });
});

test('all faults of an input are told at once, but of its parameters the first alone', async () => {
  const result = await trySend(server, {
    conversationId,
    content: { text: NUL },
    metadata: { note: half },
    runtimeParameters: { wordsPerSecond: -1, warmth: 1 },
    idempotencyKey: '',
  });
  expect(result).toMatchObject({ __typename: 'InvalidInputError' });
  const paths = 'issues' in result ? result.issues.map(({ path }) => path.join('.')) : [];
  const expected = ['content.text', 'idempotencyKey', 'metadata.note', 'runtimeParameters.warmth'];
  expect(paths.sort()).toEqual(expected);
});
