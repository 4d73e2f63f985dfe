import { describe, expect, it } from 'vitest';
import { titleOf } from '../src/conversations/commands/title.ts';
import { ask } from './harness/client.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

interface Conversation {
  id: string;
  title: string | null;
  version: number;
  labels: string[] | null;
  continues: { id: string } | null;
}
interface Outcome {
  result: { __typename: string; conversation?: Conversation; issues?: { path: string[] }[]; path?: string[] };
}

const shown = `__typename
  ... on ConversationPayload { conversation { id title version labels continues { id } } }
  ... on InvalidInputError { issues { path } }
  ... on NotFoundError { path }`;

async function create(input: Record<string, unknown> = {}): Promise<Outcome['result']> {
  const query = `mutation($input: CreateConversationInput!) { result: createConversation(input: $input) { ${shown} } }`;
  return (await ask<Outcome>(server, query, { input: { action: 'NONE', ...input } })).result;
}

async function created(input: Record<string, unknown> = {}): Promise<Conversation> {
  const { conversation } = await create(input);
  if (!conversation) throw new Error('The conversation was not created.');
  return conversation;
}

async function update(input: Record<string, unknown>): Promise<Outcome['result']> {
  const query = `mutation($input: UpdateConversationInput!) { result: updateConversation(input: $input) { ${shown} } }`;
  return (await ask<Outcome>(server, query, { input })).result;
}

async function send(conversationId: string, text: string): Promise<Conversation | undefined> {
  const query = `mutation($input: SendMessageInput!) { result: sendMessage(input: $input) { ${shown} } }`;
  const input = { conversationId, content: { text }, action: 'NONE' };
  return (await ask<Outcome>(server, query, { input })).result.conversation;
}

async function listed(filter: Record<string, unknown>): Promise<{ ids: string[]; count: number }> {
  const query = `query($filter: ConversationFilter) { count: conversationCount(filter: $filter)
    conversations(filter: $filter) { nodes { id } } }`;
  const data = await ask<{ count: number; conversations: { nodes: { id: string }[] } }>(server, query, { filter });
  return { count: data.count, ids: data.conversations.nodes.map(({ id }) => id) };
}

describe('labels', () => {
  it('are added and removed, sorted, each once; nothing new changes nothing', async () => {
    const { id } = await created();
    const first = await update({ conversationId: id, labels: { add: ['vip', ' refund ', 'vip'] } });
    expect(first.conversation).toMatchObject({ labels: ['refund', 'vip'], version: 2 });
    const same = await update({ conversationId: id, labels: { add: ['vip'], remove: ['none'] } });
    expect(same.conversation).toMatchObject({ labels: ['refund', 'vip'], version: 2 });
    const last = await update({ conversationId: id, labels: { remove: ['refund'] } });
    expect(last.conversation).toMatchObject({ labels: ['vip'], version: 3 });
  });

  it('added by many at once are all there', async () => {
    const { id } = await created();
    const labels = Array.from({ length: 20 }, (_, index) => `label ${String(index).padStart(2, '0')}`);
    await Promise.all(labels.map((label) => update({ conversationId: id, labels: { add: [label] } })));
    expect((await update({ conversationId: id })).conversation?.labels).toEqual(labels);
  });

  it('are found by a filter that asks for all of them', async () => {
    const { id } = await created();
    const { id: other } = await created();
    await update({ conversationId: id, labels: { add: ['both', 'found'] } });
    await update({ conversationId: other, labels: { add: ['both'] } });
    expect(await listed({ labels: ['found', 'both'] })).toEqual({ ids: [id], count: 1 });
    expect((await listed({ labels: ['both'] })).count).toBe(2);
  });

  it.each([
    ['that is empty', { add: ['  '] }, ['labels', 'add', '0']],
    ['that is too long', { add: ['x'.repeat(101)] }, ['labels', 'add', '0']],
    ['that is added and removed', { add: ['a'], remove: ['a'] }, ['labels']],
    ['with a NUL', { remove: ['\0'] }, ['labels', 'remove', '0']],
    ['beyond 50', { add: Array.from({ length: 51 }, (_, index) => `l${index}`) }, ['labels', 'add']],
  ])('one %s is refused', async (_, labels, path) => {
    const { id } = await created();
    const refused = await update({ conversationId: id, labels });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path }] });
  });

  it('are at most 50 in all', async () => {
    const { id } = await created();
    const many = (from: number) => Array.from({ length: 30 }, (_, index) => `l${from + index}`);
    await update({ conversationId: id, labels: { add: many(0) } });
    const refused = await update({ conversationId: id, labels: { add: many(30) } });
    expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['labels'] }] });
  });
});

describe('a count', () => {
  it('stops where it is told to', async () => {
    await Promise.all([created(), created(), created()]);
    const count = (upTo: number) => ask<{ count: number }>(server, `{ count: conversationCount(upTo: ${upTo}) }`);
    expect(await count(2)).toEqual({ count: 2 });
    await expect(count(0)).rejects.toThrow('BAD_USER_INPUT');
    await expect(count(1001)).rejects.toThrow('BAD_USER_INPUT');
  });
});

describe('going on from an ended conversation', () => {
  it('links the new one with it; one that has not ended, or is not there, is refused', async () => {
    const { id } = await created();
    expect(await create({ continues: id })).toMatchObject({ issues: [{ path: ['continues'] }] });
    await ask(server, `mutation { endConversation(input: { conversationId: "${id}" }) { __typename } }`);
    expect(await create({ continues: id })).toMatchObject({ conversation: { continues: { id } } });
    expect(await create({ continues: 'conv_none' })).toMatchObject({
      __typename: 'NotFoundError',
      path: ['continues'],
    });
  });
});

describe('a title', () => {
  it('is made from the first message, at the start or later, and kept', async () => {
    expect((await created({ message: { content: { text: '# **Where** is my order?' } } })).title).toBe(
      'Where is my order?',
    );
    const { id, title } = await created();
    expect(title).toBeNull();
    expect((await send(id, 'A first question'))?.title).toBe('A first question');
    expect((await send(id, 'A second one'))?.title).toBe('A first question');
  });

  it('that is given stays', async () => {
    const { title } = await created({ title: 'Given', message: { content: { text: 'Another' } } });
    expect(title).toBe('Given');
  });

  it.each([
    ['two\n lines', 'two lines'],
    ['<b onclick="x">bold</b> <script>alert(1)</script>', 'bold alert(1)'],
    ['see [the docs](https://example.com/x) and `code`', 'see the docs and code'],
    ['- one\n- two', 'one two'],
    ['hidden\u202Emark\u0000', 'hidden mark'],
    ['snake_case and 2 * 3', 'snake_case and 2 * 3'],
    ['   ', null],
    ['word '.repeat(100), `${'word '.repeat(15).trim()}…`],
    ['x'.repeat(100), `${'x'.repeat(79)}…`],
    ['🧑‍🚀 _here_', '🧑‍🚀 here'],
  ])('of %j is %j', (text, title) => {
    expect(titleOf([{ kind: 'TEXT', text, metadata: {} }])).toBe(title);
  });

  it.each([
    ['characters of many marks', `e${'\u0301'.repeat(100)}`.repeat(19), 5],
    ['one character of a thousand marks', `e${'\u0301'.repeat(1999)}`, 0],
    ['faces of whole families', '👨‍👩‍👧‍👦'.repeat(79), 40],
  ])('of %s is no longer than one that is given, and ends with a whole character', (_what, text, whole) => {
    const title = titleOf([{ kind: 'TEXT', text, metadata: {} }]) ?? '';
    expect(Buffer.byteLength(title)).toBeLessThanOrEqual(1024);
    const [characters, all] = [title, text].map((each) => [...new Intl.Segmenter().segment(each)]);
    expect(characters?.slice(0, -1).map(({ segment }) => segment)).toEqual(
      all?.slice(0, whole).map(({ segment }) => segment),
    );
    expect(title.endsWith('…')).toBe(true);
  });
});
