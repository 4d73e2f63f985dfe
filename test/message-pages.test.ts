import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { conversationJson, fragmentJson, handoffJson, messageJson } from '../src/conversations/log/columns.ts';
import { readRows, type RowsAsJson, rowsOf } from '../src/conversations/log/rows.ts';
import { decodeId } from '../src/ids.ts';
import { graphql } from './harness/client.ts';
import { mintToken } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { executedOnce } from './harness/executed-once.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let conversationId: string;
let token: string;

const mutate = (name: string, input: Record<string, unknown>) => {
  const type = name.charAt(0).toUpperCase() + name.slice(1);
  return ask<Record<string, { conversation: { id: string }; reply: { id: string } }>>(
    server,
    `mutation ($input: ${type}Input!) {
      ${name}(input: $input) { ... on ${type}Payload { conversation { id } } ... on UserError { detail } }
    }`,
    { input },
  );
};

beforeAll(async () => {
  const agentId = await createAgent(server.services, 'scripted');
  const made = await mutate('createConversation', { agentId, action: 'NONE' });
  conversationId = made.createConversation?.conversation.id ?? '';
  const canvas = { name: 'plan', type: 'markdown', title: 'A plan', content: '# One' };
  const call = { name: 'look', args: { b: [1.5, null, 'ü'], a: {} }, metadata: { z: 1, a: 2 } };
  const response = { name: 'look', callIndex: 0, response: { found: 12345678901234, ok: true }, failed: false };
  const content = {
    fragments: [{ functionCall: call }, { functionResponse: response }, { text: { text: 'Done 🙂' } }],
  };
  await mutate('addAgentMessage', { conversationId, content, canvas, metadata: { k: 'v', aa: [] } });
  await mutate('sendControl', {
    conversationId,
    content: { text: 'Be brief.' },
    stateAfter: { context: { y: 1, x: 2 } },
  });
  await mutate('sendMessage', { conversationId, content: { text: 'Say it.' }, queryMetadata: { q: 1 } });
  const first = await runtime.replyTo('Say it.');
  await first.say({ type: 'text-start' }, { type: 'text-delta', text: 'It.' }, { type: 'text-end' });
  await first.say({ type: 'usage', inputTokens: 3, outputTokens: 2 }, { type: 'finish' });
  await mutate('sendMessage', { conversationId, content: { text: 'And on?' }, onBusy: 'INTERRUPT' });
  const second = await runtime.replyTo('And on?');
  await second.begin('On and ', 'on');
  // What is read twice must not be stored in between.
  const { conversation } = await ask<{ conversation: { runningReply: { id: string } } }>(
    server,
    'query ($id: ID!) { conversation(id: $id) { runningReply { id } } }',
    { id: conversationId },
  );
  const resume = await server.services.runner.suspend(decodeId('Message', conversation.runningReply.id) ?? '');
  resume();
  token = await mintToken(server, { conversationId });
});

const everything = `__typename id position role status text errorDetail metadata contentPayload queryMetadata runtimeParameters
  createdAt completedAt author { kind displayName agent { name } contact { id } } canvas { name type title content }
  stateAfter { playbook phase systemMessage context } usage { inputTokens outputTokens } inReplyTo { id text }
  supersedes { id } supersededBy { id } conversation { id }
  fragments { __typename id index status metadata ... on TextFragment { text } ... on FunctionCallFragment { name args }
    ... on FunctionResponseFragment { name callId response failed } }`;

test.each(['an operator', 'an end user'])('a page shows %s each message just as it is by itself', async (who) => {
  const key = who === 'an operator' ? server.key : token;
  const page = `query ($id: ID!) {
    conversation(id: $id) { messages(first: 50) { nodes { ...whole } edges { node { ...whole } } } }
  } fragment whole on Message { ${everything} }`;
  const single = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { ${everything} } } }`;
  type Node = { id: string; role: string };
  interface Page {
    conversation: { messages: { nodes: Node[]; edges: { node: Node }[] } };
  }
  const { data, errors } = await graphql<Page>(server, page, { id: conversationId }, { key });
  expect(errors).toBeUndefined();
  const { nodes = [], edges = [] } = data?.conversation.messages ?? {};
  const alone = await graphql<{ nodes: Node[] }>(server, single, { ids: nodes.map(({ id }) => id) }, { key });

  const roles =
    who === 'an operator'
      ? ['AGENT', 'CONTROL', 'USER', 'AGENT', 'USER', 'AGENT']
      : ['AGENT', 'USER', 'AGENT', 'USER', 'AGENT'];
  expect(nodes.map(({ role }) => role)).toEqual(roles);
  expect(JSON.stringify(nodes)).toBe(JSON.stringify(alone.data?.nodes));
  expect(edges.map(({ node }) => node)).toEqual(nodes);
});

test.each(['an operator', 'an end user', 'another end user'])(
  'a conversation is the same to %s by its own query as among nodes',
  async (who) => {
    const stranger = async () => {
      const agentId = await createAgent(server.services, 'scripted');
      const { createConversation } = await mutate('createConversation', { agentId, action: 'NONE' });
      return mintToken(server, { conversationId: createConversation?.conversation.id ?? '' });
    };
    const key = who === 'an operator' ? server.key : who === 'an end user' ? token : await stranger();
    const fields = `__typename id version status title systemPrompt metadata searchMetadata runtimeParameters labels messageCount
      createdAt updatedAt endedAt state { playbook phase systemMessage context } agent { id name } contact { id } inbox { id }
      corpus { id } continues { id } runningReply { id status } handoff { id } lastMessage { id position }
      handoffs(first: 5) { nodes { id } } messages(last: 2) { nodes { id } edges { cursor } pageInfo { startCursor endCursor } eventCursor }`;
    const query = `query ($id: ID!) {
      conversation(id: $id) { ...whole } node(id: $id) { ...whole }
    } fragment whole on Conversation { ${fields} }`;
    const { data, errors } = await graphql<Record<'conversation' | 'node', unknown>>(
      server,
      query,
      { id: conversationId },
      { key },
    );
    expect(errors).toBeUndefined();
    expect(JSON.stringify(data?.conversation)).toBe(JSON.stringify(data?.node));
    if (who === 'another end user') expect(data?.conversation).toBeNull();
    else expect(data?.conversation).toMatchObject({ id: conversationId, runningReply: { status: 'IN_PROGRESS' } });
  },
);

const page =
  'nodes { id fragments { index } } pageInfo { startCursor endCursor hasPreviousPage hasNextPage } eventCursor';

executedOnce.each([
  ['just once', `{ messages(last: $last) { ${page} } }`, 1],
  ['by another name', `{ mine: messages(last: $last) { ${page} } }`, 1],
  [
    'in a fragment',
    `{ ... on Conversation { ...shown } } fragment shown on Conversation { messages(last: $last) { ${page} } }`,
    1,
  ],
  ['twice', `{ messages(last: $last) { ${page} } others: messages(last: $last) { ${page} } }`, 3],
  [
    'in parts',
    `{ messages(last: $last) { ${page} } } ... on Query { conversation(id: $id) { messages(last: $last) { ${page} } } }`,
    2,
  ],
  ['perhaps', `{ messages(last: $last) @include(if: $yes) { ${page} } }`, 2],
  ['perhaps, in a fragment', `{ ... @skip(if: $no) { messages(last: $last) { ${page} } } }`, 2],
])(
  'a page that is asked for %s is the same, with its conversation in one statement if it is just one',
  async (_how, selection, statements) => {
    const variables = { id: conversationId, last: 2, yes: true, no: false };
    const [body = '', fragment = ''] = selection.split(/(?=fragment shown)/);
    const query = `query ($id: ID!, $last: Int, $yes: Boolean = true, $no: Boolean = false) {
    used: conversation(id: $id) { id @include(if: $yes) @skip(if: $no) }
    conversation(id: $id) ${body}
  } ${fragment}`;
    const single = `query ($id: ID!, $last: Int) { node(id: $id) { ... on Conversation { messages(last: $last) { ${page} } } } }`;
    const { node } = await ask<{ node: { messages: object } }>(server, single, variables);
    const asked = vi.spyOn(server.services.pool, 'query');
    onTestFinished(() => asked.mockRestore());
    const { conversation } = await ask<{ conversation: Record<string, object> }>(server, query, variables);
    expect(node.messages).toMatchObject({ nodes: [{}, {}], pageInfo: { hasPreviousPage: true } });
    for (const messages of Object.values(conversation)) expect(messages).toEqual(node.messages);
    // One of them is that of `used`.
    const reads = asked.mock.calls.filter(([statement]) =>
      /find-conversation|list-messages/.test(JSON.stringify(statement)),
    );
    expect(reads).toHaveLength(1 + statements);
  },
);

test.each([
  ['more than there may be', { last: 101 }, '`last` must be 1 to 100, not 101.'],
  ['from both ends', { first: 1, last: 1 }, 'Give `first` or `last`, not both.'],
  ['from nowhere', { before: 'x' }, 'The pagination cursor is malformed, or from another list.'],
])('a page that is asked for %s fails where it is asked for', async (_how, args, message) => {
  const query = `query ($id: ID!, $first: Int, $last: Int, $before: String) {
    conversation(id: $id) { id messages(first: $first, last: $last, before: $before) { nodes { id } } }
  }`;
  const { errors } = await graphql(server, query, { id: conversationId, ...args });
  expect(errors).toMatchObject([{ message, path: ['conversation', 'messages'] }]);
});

test('each value of a row that a statement returns is in its place', async () => {
  /** A row in whose columns their own names stand, in place of times how many columns come before. */
  const named = (json: string, row: string) => {
    const found = json.matchAll(new RegExp(`\\b${row}\\.(\\w+)`, 'g'));
    const names = [...new Set([...found].map(([, name = '']) => name))];
    const values = names.map((name, place) => (name.endsWith('_at') ? `to_timestamp(${place})` : `'${name}'::text`));
    const seen = (value: unknown) => (value instanceof Date ? names[value.getTime() / 1000] : value);
    return { from: `(SELECT ${names.map((name, place) => `${values[place]} AS ${name}`).join()}) AS ${row}`, seen };
  };
  const [conversation, message] = [conversationJson('c'), messageJson('m', {})];
  const [handoff, fragment] = [handoffJson('h'), fragmentJson('f')];
  const sources = [named(conversation, 'c'), named(message, 'm'), named(handoff, 'h'), named(fragment, 'f')] as const;
  const whole = messageJson('m', { fragments: `json_build_array(${fragment})` });
  const { rows } = await server.services.pool.query<RowsAsJson>(
    `SELECT ${conversation} AS conversation, ${whole} AS message, NULL AS reply, ${handoff} AS handoff
    FROM ${sources.map(({ from }) => from).join()}`,
  );
  const read = rows[0] && rowsOf(rows[0]);
  const { fragments, isCut, conversationId, ...bare } = read?.message ?? {};
  const [part] = (await fragments) ?? [];
  expect(isCut).toBe(false);
  expect(conversationId).toBe(read?.conversation.id);
  expect(part?.messageId).toBe('id');
  for (const [index, row] of [
    read?.conversation,
    bare,
    read?.handoff,
    { ...part, messageId: 'message_id' },
  ].entries()) {
    const columns = Object.entries(row ?? {}).map(([field, value]) => [field, sources[index]?.seen(value)]);
    expect(columns.length).toBeGreaterThan(10);
    expect(columns).toEqual(columns.map(([field]) => [field, columnOf(String(field))]));
  }
});

test('a row is read as it is stored, whether or not its rare columns hold what they usually do', async () => {
  const { pool, prisma } = server.services;
  const id = decodeId('Conversation', conversationId) ?? '';
  const stored = await prisma.message.findMany({
    where: { conversationId: id },
    include: { fragments: { orderBy: { index: 'asc' } } },
    omit: { contentPayload: false, queryMetadata: false, canvas: false, stateAfter: false },
  });
  expect(stored.length).toBeGreaterThan(5);
  for (const { fragments, ...message } of stored) {
    const read = await readRows(pool, { conversationId: id, messageId: message.id });
    const { fragments: parts, isCut, ...row } = read?.message ?? {};
    expect({ isCut, ...row }).toEqual({ isCut: false, ...message });
    if (message.status === 'IN_PROGRESS') continue;
    expect(await parts).toEqual(fragments.map(({ units: _units, ...fragment }) => fragment));
  }
});

const renamed: Record<string, string> = {
  runningReplyId: 'generating_message_id',
  runningServerId: 'generating_server_id',
  runningReplyVersion: 'generating_version',
};

const columnOf = (field: string) => renamed[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
