import { beforeAll, describe, expect, test } from 'vitest';
import type { HttpTool } from '../src/agents/http-tool.ts';
import type { JsonObject } from '../src/json.ts';
import { ask, graphql, type Target } from './harness/client.ts';
import { playbook } from './harness/playbooks.ts';
import { addCorpus, addInbox, addTenant, command, ImmediateRuntime, rowId, type Tenant } from './harness/products.ts';
import { useServer } from './harness/server.ts';

const number = { type: 'number', minimum: 0 };
const warm = new ImmediateRuntime('warm', {
  type: 'object',
  properties: { warmth: number, depth: number, speed: number },
  additionalProperties: false,
});
const cold = new ImmediateRuntime('cold', {
  type: 'object',
  properties: { coldness: number },
  additionalProperties: false,
});
const server = useServer({ runtimes: [warm, cold] });
let tenant: Tenant;
beforeAll(async () => {
  tenant = await addTenant(server, 'warm');
});

type Input = Record<string, unknown>;

interface Agent {
  id: string;
  name: string;
  runtime: { name: string };
  systemPrompt: string | null;
  greeting: string | null;
  defaultRuntimeParameters: JsonObject;
  corpus: { id: string } | null;
  playbooks: unknown[];
  tools: { name: string; url: string; headerNames: string[] }[];
  isDefault: boolean;
}

interface Outcome {
  __typename: string;
  detail?: string;
  path?: string[];
  issues?: { path: string[]; detail: string }[];
  agent?: Agent;
  usedBy?: string[];
  deletedAgentId?: string;
}

const agentFields = `id name runtime { name } systemPrompt greeting defaultRuntimeParameters corpus { id } isDefault
  playbooks { name instructions phases { name instructions next } }
  tools { name description url headerNames parametersSchema timeoutSeconds }`;
const failures =
  '__typename ... on UserError { detail } ... on NotFoundError { path } ... on InvalidInputError { issues { path detail } }';

async function create(input: Input, target: Target = server): Promise<Outcome> {
  const document = `mutation ($input: CreateAgentInput!) {
    result: createAgent(input: $input) { ${failures} ... on CreateAgentPayload { agent { ${agentFields} } } }
  }`;
  return (await ask<{ result: Outcome }>(target, document, { input })).result;
}

async function update(input: Input, target: Target = server): Promise<Outcome> {
  const document = `mutation ($input: UpdateAgentInput!) {
    result: updateAgent(input: $input) { ${failures} ... on UpdateAgentPayload { agent { ${agentFields} } } }
  }`;
  return (await ask<{ result: Outcome }>(target, document, { input })).result;
}

async function remove(agentId: string, target: Target = server): Promise<Outcome> {
  const document = `mutation ($input: DeleteAgentInput!) {
    result: deleteAgent(input: $input) {
      ${failures} ... on AgentInUseError { usedBy agent { ${agentFields} } } ... on DeleteAgentPayload { deletedAgentId }
    }
  }`;
  return (await ask<{ result: Outcome }>(target, document, { input: { agentId } })).result;
}

/** An agent that there must be. */
function made({ agent, detail }: Outcome): Agent {
  if (!agent) throw new Error(detail);
  return agent;
}

async function newAgent(input: Input = {}, target: Target = server): Promise<string> {
  return made(await create({ name: 'Robin', runtime: 'warm', ...input }, target)).id;
}

async function readAgent(id: string): Promise<Agent | null> {
  const { agent } = await ask<{ agent: Agent | null }>(
    server,
    `query ($id: ID!) { agent(id: $id) { ${agentFields} } }`,
    {
      id,
    },
  );
  return agent;
}

/** An invalid input with a fault at exactly these places. */
function invalid(...paths: string[][]): unknown {
  return {
    __typename: 'InvalidInputError',
    detail: expect.any(String),
    issues: paths.map((path) => ({ path, detail: expect.stringMatching(/\.$/) })),
  };
}

function notFound(...path: string[]): unknown {
  return { __typename: 'NotFoundError', detail: expect.any(String), path };
}

describe('an agent', () => {
  test('can be made of a name alone, and answers at once', async () => {
    const agent = made(await create({ name: 'Robin' }));
    expect(agent).toEqual({
      id: expect.stringMatching(/^agent_/),
      name: 'Robin',
      runtime: { name: 'knowledge' },
      systemPrompt: null,
      greeting: null,
      defaultRuntimeParameters: {},
      corpus: null,
      isDefault: false,
      playbooks: [],
      tools: [],
    });
    const created = await command(server, createConversation, { agentId: agent.id, awaitReply: true });
    expect(created.reply?.text).toContain('Robin');
  });

  test('is read as it was made, and changed in what an update names', async () => {
    const corpusId = await addCorpus(server.services, []);
    const parametersSchema = { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] };
    const tool = {
      name: 'findOrder',
      description: 'Finds an order.',
      url: 'https://shop.example/find',
      parametersSchema,
    };
    const input = {
      name: 'Robin',
      runtime: 'warm',
      systemPrompt: 'You work for a shop.',
      greeting: 'Welcome to the shop!',
      defaultRuntimeParameters: { warmth: 1 },
      playbooks: [playbook('returns', 'ask', 'solve'), { name: 'chat' }],
    };
    const agent = made(await create({ ...input, corpusId, tools: [tool] }));
    const expected = {
      ...input,
      id: agent.id,
      runtime: { name: 'warm' },
      corpus: { id: corpusId },
      isDefault: false,
      playbooks: [playbook('returns', 'ask', 'solve'), { name: 'chat', instructions: '', phases: [] }],
      tools: [{ ...tool, headerNames: [], timeoutSeconds: 10 }],
    };
    expect(agent).toEqual(expected);
    expect(await readAgent(agent.id)).toEqual(expected);

    expect(made(await update({ agentId: agent.id }))).toEqual(expected);
    const changes = { name: 'Kim', greeting: 'Hello.', defaultRuntimeParameters: { depth: 2 } };
    expect(made(await update({ agentId: agent.id, ...changes }))).toEqual({ ...expected, ...changes });
    expect(await readAgent(agent.id)).toEqual({ ...expected, ...changes });

    const cleared = { systemPrompt: null, greeting: null, corpusId: null, playbooks: null, tools: null };
    expect(made(await update({ agentId: agent.id, ...cleared, defaultRuntimeParameters: null }))).toEqual({
      ...expected,
      name: 'Kim',
      systemPrompt: null,
      greeting: null,
      corpus: null,
      defaultRuntimeParameters: {},
      playbooks: [],
      tools: [],
    });
  });

  test('answers by what it is when a reply begins', async () => {
    const agentId = await newAgent({ systemPrompt: 'Be brief.', playbooks: [playbook('returns', 'ask')] });
    const state = { playbook: 'returns', phase: 'ask' };
    const { conversation } = await command(server, createConversation, { agentId, state, awaitReply: true });
    expect(warm.lastTurn).toMatchObject({ systemPrompt: 'Be brief.', playbook: playbook('returns', 'ask') });
    await update({ agentId, systemPrompt: 'Be kind.', playbooks: [playbook('returns', 'ask', 'solve')] });
    const input = { conversationId: conversation.id, content: { text: 'And now?' }, awaitReply: true };
    await command(server, sendMessage, input);
    expect(warm.lastTurn).toMatchObject({ systemPrompt: 'Be kind.', playbook: playbook('returns', 'ask', 'solve') });
  });

  test('keeps every field that updates change at once', async () => {
    const agentId = await newAgent();
    const changes = [
      { name: 'Kim' },
      { systemPrompt: 'Be brief.' },
      { greeting: 'Hello.' },
      { defaultRuntimeParameters: { depth: 2 } },
      { playbooks: [{ name: 'chat' }] },
      { tools: [{ name: 'look', description: '', url: 'https://shop.example/' }] },
    ];
    await Promise.all(changes.map((change) => update({ agentId, ...change })));
    expect(await readAgent(agentId)).toMatchObject(Object.assign({}, ...changes) as Input);
  });

  test('has parameters that suit its runtime, also when both are changed at once', async () => {
    const agentId = await newAgent();
    const changes = [
      { defaultRuntimeParameters: { warmth: 1 } },
      { runtime: 'cold', defaultRuntimeParameters: { coldness: 1 } },
      { runtime: 'warm' },
      { runtime: 'cold', defaultRuntimeParameters: null },
      { defaultRuntimeParameters: { coldness: 2 } },
    ];
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(changes.map((change) => update({ agentId, ...change })));
      const agent = await readAgent(agentId);
      const { runtimes } = server.services;
      const { runtime, defaultRuntimeParameters } = agent ?? { runtime: { name: '' }, defaultRuntimeParameters: {} };
      expect(await runtimes.checkParameters('', runtime.name, defaultRuntimeParameters)).toEqual([]);
    }
  });

  test.each<[string, Input, string[]]>([
    ['an empty name', { name: '' }, ['name']],
    ['a name of 201 characters', { name: 'x'.repeat(201) }, ['name']],
    ['a name with NUL', { name: 'a\0b' }, ['name']],
    ['a name with half a surrogate pair', { name: 'a\ud83d' }, ['name']],
    ['a prompt of over 64 KiB', { systemPrompt: 'é'.repeat(32 * 1024 + 1) }, ['systemPrompt']],
    ['a greeting with NUL', { greeting: '\0' }, ['greeting']],
    ['a runtime that the server does not have', { runtime: 'hot' }, ['runtime']],
    [
      'parameters of another runtime',
      { defaultRuntimeParameters: { coldness: 1 } },
      ['defaultRuntimeParameters', 'coldness'],
    ],
    ['parameters out of range', { defaultRuntimeParameters: { warmth: -1 } }, ['defaultRuntimeParameters', 'warmth']],
  ])('is not given %s', async (_case, input, path) => {
    const agentId = await newAgent();
    const before = await readAgent(agentId);
    expect(await create({ name: 'Robin', runtime: 'warm', ...input })).toEqual(invalid(path));
    expect(await update({ agentId, ...input })).toEqual(invalid(path));
    expect(await readAgent(agentId)).toEqual(before);
  });

  test('cannot be without a name or a runtime, nor change to a runtime that its parameters do not suit', async () => {
    const agentId = await newAgent({ defaultRuntimeParameters: { warmth: 1 } });
    expect(await update({ agentId, name: null, runtime: null })).toEqual(invalid(['name'], ['runtime']));
    expect(await update({ agentId, runtime: 'cold' })).toEqual(invalid(['defaultRuntimeParameters', 'warmth']));
    expect(made(await update({ agentId, runtime: 'cold', defaultRuntimeParameters: null })).runtime.name).toBe('cold');
  });

  test('is told all its faults at once', async () => {
    const input = {
      name: '',
      runtime: 'hot',
      greeting: '\0',
      playbooks: [{ name: '' }],
      tools: [{ ...tool, name: '' }],
    };
    expect(await create(input)).toEqual(
      invalid(['name'], ['runtime'], ['greeting'], ['playbooks', '0', 'name'], ['tools', '0', 'name']),
    );
  });

  test('of another organization is not found, and neither is its corpus', async () => {
    const { organizationId } = tenant;
    const theirs = await newAgent({}, tenant);
    const theirCorpus = await addCorpus(server.services, [], { organizationId });
    const agentId = await newAgent();
    for (const id of [theirs, 'agent_', 'nonsense', theirCorpus, 'agent_00000000000000000000000000']) {
      expect(await update({ agentId: id, name: 'Mine' })).toEqual(notFound('agentId'));
      expect(await remove(id)).toEqual(notFound('agentId'));
    }
    for (const corpusId of [theirCorpus, 'nonsense', agentId, 'corpus_00000000000000000000000000']) {
      expect(await create({ name: 'Robin', corpusId })).toEqual(notFound('corpusId'));
      expect(await update({ agentId, corpusId, name: 'Kim' })).toEqual(notFound('corpusId'));
    }
    expect(await readAgent(agentId)).toMatchObject({ name: 'Robin', corpus: null });
  });

  test('can be made the one that answers whoever names no agent', async () => {
    const first = await newAgent({ makeDefault: true }, tenant);
    expect(await agentOf(tenant, {})).toBe(first);
    const second = await newAgent({}, tenant);
    expect(await agentOf(tenant, {})).toBe(first);
    expect(made(await update({ agentId: second, makeDefault: true }, tenant)).isDefault).toBe(true);
    expect(made(await update({ agentId: first, makeDefault: false }, tenant)).isDefault).toBe(false);
    expect(await agentOf(tenant, {})).toBe(second);
  });
});

describe('deleting an agent', () => {
  test('takes it away', async () => {
    const agentId = await newAgent();
    expect(await remove(agentId)).toEqual({ __typename: 'DeleteAgentPayload', deletedAgentId: agentId });
    expect(await readAgent(agentId)).toBeNull();
    expect(await remove(agentId)).toEqual(notFound('agentId'));
    expect(await command(server, createConversation, { agentId })).toEqual(notFound('agentId'));
  });

  test('is refused while something needs it, and all that does is told', async () => {
    const agentId = await newAgent({}, tenant);
    const { organizationId } = tenant;
    const inUse = (...usedBy: string[]): unknown =>
      expect.objectContaining({
        __typename: 'AgentInUseError',
        usedBy,
        agent: expect.objectContaining({ id: agentId }),
      });
    await update({ agentId, makeDefault: true }, tenant);
    expect(await remove(agentId, tenant)).toEqual(inUse('DEFAULT_AGENT'));
    await addInbox(server.services, { organizationId, agentId: rowId('Agent', agentId) });
    const { conversation } = await command(tenant, createConversation, { agentId, action: 'NONE' });
    expect(await remove(agentId, tenant)).toEqual(inUse('CONVERSATIONS', 'INBOXES', 'DEFAULT_AGENT'));

    await newAgent({ makeDefault: true }, tenant);
    await server.services.prisma.inbox.deleteMany({ where: { organizationId } });
    const end = 'mutation ($id: ID!) { endConversation(input: { conversationId: $id }) { __typename } }';
    await ask(tenant, end, { id: conversation.id });
    expect(await remove(agentId, tenant)).toEqual(inUse('CONVERSATIONS'));
    const drop = 'mutation ($id: ID!) { deleteConversation(input: { conversationId: $id }) { __typename } }';
    await ask(tenant, drop, { id: conversation.id });
    expect(await remove(agentId, tenant)).toMatchObject({ deletedAgentId: agentId });
  });

  test('either comes before conversations, which then find no agent, or is refused because of them', async () => {
    for (let round = 0; round < 12; round += 1) {
      const agentId = await newAgent();
      const start = () => command(server, createConversation, { agentId, action: 'NONE' });
      const [first, deleted, second] = await Promise.all([start(), remove(agentId), start()]);
      const isGone = deleted.__typename === 'DeleteAgentPayload';
      if (!isGone) expect(deleted.__typename).toBe('AgentInUseError');
      for (const { __typename, path } of [first, second]) {
        if (isGone) expect({ __typename, path }).toEqual({ __typename: 'NotFoundError', path: ['agentId'] });
        else expect(__typename).toBe('CreateConversationPayload');
      }
    }
  });

  test('waits for a conversation that is just being started', async () => {
    const agentId = await newAgent();
    const { pool } = server.services;
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM agent WHERE id = $1 FOR KEY SHARE', [rowId('Agent', agentId)]);
      const deleting = remove(agentId);
      await waitForLock();
      await client.query(
        `INSERT INTO conversation (id, organization_id, agent_id) SELECT $1, organization_id, id FROM agent WHERE id = $2`,
        [server.services.newId(), rowId('Agent', agentId)],
      );
      await client.query('COMMIT');
      expect(await deleting).toMatchObject({ __typename: 'AgentInUseError', usedBy: ['CONVERSATIONS'] });
    } finally {
      client.release();
    }
  });
});

describe('playbooks', () => {
  const phase = { name: 'ask' };
  const chapters = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `chapter ${i}` }));
  test.each<[string, Input[], string[][]]>([
    ['a playbook without a name', [{ name: '' }], [['0', 'name']]],
    ['a name of 101 characters', [{ name: 'x'.repeat(101) }], [['0', 'name']]],
    ['two playbooks of one name', [{ name: 'chat' }, { name: 'chat' }], [['1', 'name']]],
    [
      'instructions of 20,001 characters',
      [{ name: 'chat', instructions: 'x'.repeat(20_001) }],
      [['0', 'instructions']],
    ],
    ['NUL in instructions', [{ name: 'chat', instructions: '\0' }], [['0', 'instructions']]],
    ['two phases of one name', [{ name: 'chat', phases: [phase, phase] }], [['0', 'phases', '1', 'name']]],
    [
      'a way to a phase that there is not',
      [{ name: 'chat' }, { name: 'returns', phases: [phase, { name: 'solve', next: ['ask', 'end'] }] }],
      [['1', 'phases', '1', 'next', '1']],
    ],
    ['half a surrogate pair', [{ name: 'chat', phases: [{ name: '\ud83d' }] }], [['0', 'phases', '0', 'name']]],
    ['51 playbooks', chapters(51), [[]]],
    ['51 phases', [{ name: 'chat', phases: chapters(51) }], [['0', 'phases']]],
    ['more than 1 MiB', chapters(50).map((one) => ({ ...one, instructions: '—'.repeat(7500) })), [[]]],
    [
      'two faults',
      [{ name: '' }, { name: 'returns', phases: [{ name: 'ask', next: ['solve'] }] }],
      [
        ['0', 'name'],
        ['1', 'phases', '0', 'next', '0'],
      ],
    ],
  ])('with %s are refused, and each fault is named', async (_case, playbooks, paths) => {
    const agentId = await newAgent({ playbooks: [{ name: 'chat' }] });
    const expected = invalid(...paths.map((path) => ['playbooks', ...path]));
    expect(await create({ name: 'Robin', playbooks })).toEqual(expected);
    expect(await update({ agentId, playbooks })).toEqual(expected);
    expect(await readAgent(agentId)).toMatchObject({ playbooks: [{ name: 'chat' }] });
  });
});

const secret = 'Bearer of-a-secret';
const tool = {
  name: 'findOrder',
  description: 'Finds an order.',
  url: 'https://shop.example/find',
  headers: { Authorization: secret, 'X-Shop': 'no. 7' },
};

describe('tools', () => {
  async function stored(agentId: string): Promise<HttpTool[]> {
    const { tools } = await server.services.prisma.agent.findUniqueOrThrow({ where: { id: rowId('Agent', agentId) } });
    return tools as unknown as HttpTool[];
  }

  test('show which headers they send, and never what is in them', async () => {
    const agentId = await newAgent({ tools: [tool] });
    const read = async () =>
      JSON.stringify([
        await graphql(server, `query ($id: ID!) { agent(id: $id) { ${agentFields} } }`, { id: agentId }),
        await update({ agentId, name: 'Kim' }),
        await update({ agentId, tools: [tool, tool] }),
        await update({ agentId, tools: [{ ...tool, headers: { ...tool.headers, 'X-Bad': `${secret}\n` } }] }),
        await update({ agentId, tools: [{ ...tool, headers: { Authorization: [secret] } }] }),
      ]);
    expect(await read()).toContain('"headerNames":["Authorization","X-Shop"]');
    expect(await read()).not.toContain('of-a-secret');
    expect(await stored(agentId)).toMatchObject([{ headers: tool.headers }]);
  });

  test('keep their headers through an update that leaves them out, and lose them by null', async () => {
    const agentId = await newAgent({ tools: [tool] });
    const { headers, ...edited } = { ...tool, description: 'Looks for an order.', url: 'https://shop.example/v2' };
    await update({ agentId, tools: [{ ...edited, name: 'other' }, edited] });
    expect(await stored(agentId)).toMatchObject([
      { name: 'other', headers: {} },
      { name: 'findOrder', description: 'Looks for an order.', headers },
    ]);
    await update({ agentId, tools: [{ ...edited, headers: { Authorization: 'Bearer anew' } }] });
    expect(await stored(agentId)).toMatchObject([{ headers: { Authorization: 'Bearer anew' } }]);
    expect(made(await update({ agentId, tools: [{ ...edited, headers: null }] })).tools).toMatchObject([
      { headerNames: [] },
    ]);
    expect((await stored(agentId)).map((each) => each.headers)).toEqual([{}]);
  });

  test('do not take their headers along to another server', async () => {
    const agentId = await newAgent({ tools: [tool] });
    const { headers, ...bare } = tool;
    for (const url of ['https://thief.example/find', 'http://shop.example/find', 'https://shop.example:444/find']) {
      expect(await update({ agentId, tools: [{ ...bare, url }] })).toEqual(invalid(['tools', '0', 'headers']));
    }
    expect(await stored(agentId)).toMatchObject([{ url: tool.url, headers }]);
    const moved = { ...bare, url: 'https://other.example/find' };
    expect(made(await update({ agentId, tools: [{ ...moved, headers: null }] })).tools).toMatchObject([
      { url: moved.url, headerNames: [] },
    ]);
  });

  test.each<[string, Input, string[]]>([
    ['a name that is no identifier', { name: 'find order' }, ['name']],
    ['the name of a tool that every agent has', { name: 'requestHandoff' }, ['name']],
    ['a description of 2001 characters', { description: 'x'.repeat(2001) }, ['description']],
    ['a URL that is not of the web', { url: 'ftp://shop.example/' }, ['url']],
    ['a URL with a password', { url: 'https://me:secret@shop.example/' }, ['url']],
    ['a header that is not a text', { headers: { 'X-Shop': 7 } }, ['headers', 'X-Shop']],
    ['a header of two lines', { headers: { 'X-Shop': 'a\r\nb' } }, ['headers', 'X-Shop']],
    ['a header with NUL', { headers: { 'X-Shop': '\0' } }, ['headers', 'X-Shop']],
    ['the name of a header that there cannot be', { headers: { 'X Shop': 'a' } }, ['headers', 'X Shop']],
    ['a schema of something else than an object', { parametersSchema: { type: 'string' } }, ['parametersSchema']],
    [
      'a schema that is none',
      { parametersSchema: { type: 'object', properties: { order: { type: 'word' } } } },
      ['parametersSchema'],
    ],
    ['a schema that refers to nothing', { parametersSchema: { type: 'object', $ref: '#/no' } }, ['parametersSchema']],
    ['no time', { timeoutSeconds: 0 }, ['timeoutSeconds']],
    ['more than a minute', { timeoutSeconds: 61 }, ['timeoutSeconds']],
  ])('with %s are refused, and the fault is named', async (_case, input, path) => {
    const tools = [
      { ...tool, name: 'first' },
      { ...tool, ...input },
    ];
    expect(await create({ name: 'Robin', tools })).toEqual(invalid(['tools', '1', ...path]));
  });

  test('of one name are refused', async () => {
    expect(await create({ name: 'Robin', tools: [tool, tool] })).toEqual(invalid(['tools', '1', 'name']));
  });

  test('are at most 256 KiB, with their schemas', async () => {
    const withSchema = (characters: number) => [
      { ...tool, parametersSchema: { type: 'object', description: 'x'.repeat(characters) } },
    ];
    made(await create({ name: 'Robin', tools: withSchema(255 * 1024) }));
    expect(await create({ name: 'Robin', tools: withSchema(256 * 1024) })).toEqual(invalid(['tools']));
  });
});

const createConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    ${failures}
    ... on CreateConversationPayload { conversation { id version agent { id } } reply { id text runtimeParameters } }
  }
}`;
const sendMessage = `mutation ($input: SendMessageInput!) {
  result: sendMessage(input: $input) {
    ${failures} ... on SendMessagePayload { conversation { id version } message { id } reply { id text runtimeParameters } }
  }
}`;
const sendControl = `mutation ($input: SendControlInput!) {
  result: sendControl(input: $input) {
    ${failures} ... on SendControlPayload { conversation { id version } message { id } reply { id text runtimeParameters } }
  }
}`;
const addAgentMessage = `mutation ($input: AddAgentMessageInput!) {
  result: addAgentMessage(input: $input) { ${failures} ... on AddAgentMessagePayload { conversation { id version } message { id } } }
}`;
const changeState = `mutation ($input: ChangeStateInput!) {
  result: changeState(input: $input) { ${failures} ... on ChangeStatePayload { conversation { id version } } }
}`;
const updateConversation = `mutation ($input: UpdateConversationInput!) {
  result: updateConversation(input: $input) { ${failures} ... on UpdateConversationPayload { conversation { id version } } }
}`;
const regenerateReply = `mutation ($input: RegenerateReplyInput!) {
  result: regenerateReply(input: $input) { ${failures} ... on RegenerateReplyPayload { reply { id text runtimeParameters } } }
}`;

/** The agent of a new conversation. */
async function agentOf(target: Target, input: Input): Promise<string | undefined> {
  const { result } = await ask<{ result: { conversation?: { agent: { id: string } } } }>(target, createConversation, {
    input: { action: 'NONE', ...input },
  });
  return result.conversation?.agent.id;
}

describe('runtime parameters', () => {
  const content = { text: 'Well?' };

  test('of the message go over those of the conversation, and these over those of the agent', async () => {
    const agentId = await newAgent({ defaultRuntimeParameters: { warmth: 1, depth: 1, speed: 1 } });
    const { conversation } = await command(server, createConversation, {
      agentId,
      action: 'NONE',
      runtimeParameters: { depth: 2, speed: 2 },
    });
    const conversationId = conversation.id;
    const merged = { warmth: 1, depth: 2, speed: 3 };
    const override = { conversationId, runtimeParameters: { speed: 3 }, awaitReply: true };
    const sent = await command(server, sendMessage, { ...override, content });
    expect(sent.reply).toMatchObject({ runtimeParameters: merged });
    expect(warm.lastTurn.parameters).toEqual(merged);
    const forced = await command(server, sendControl, { ...override, action: 'GENERATE_REPLY' });
    expect(forced.reply).toMatchObject({ runtimeParameters: merged });

    const again = await command(server, sendMessage, { conversationId, content, awaitReply: true });
    expect(again.reply).toMatchObject({ runtimeParameters: { warmth: 1, depth: 2, speed: 2 } });
    await update({ agentId, defaultRuntimeParameters: { warmth: 4 } });
    await command(server, updateConversation, { conversationId, runtimeParameters: { depth: 5 } });
    const { reply } = await command(server, regenerateReply, {
      replyId: again.reply?.id,
      runtimeParameters: { speed: 6 },
      awaitReply: true,
    });
    expect(reply).toMatchObject({ runtimeParameters: { warmth: 4, depth: 5, speed: 6 } });
    expect(warm.lastTurn.parameters).toEqual({ warmth: 4, depth: 5, speed: 6 });
  });

  test('that the schema of the runtime forbids are refused on every level, with the place of the first fault', async () => {
    const agentId = await newAgent();
    const { conversation, reply } = await command(server, createConversation, { agentId, awaitReply: true });
    const conversationId = conversation.id;
    const wrong = { warmth: -1, colour: 'blue' };
    const faults = (field: string) => invalid([field, 'colour']);

    expect(await create({ name: 'Robin', runtime: 'warm', defaultRuntimeParameters: wrong })).toEqual(
      faults('defaultRuntimeParameters'),
    );
    expect(await update({ agentId, defaultRuntimeParameters: wrong })).toEqual(faults('defaultRuntimeParameters'));
    for (const [document, input] of [
      [createConversation, { agentId }],
      [updateConversation, { conversationId }],
      [sendMessage, { conversationId, content }],
      [sendControl, { conversationId, action: 'GENERATE_REPLY' }],
      [regenerateReply, { replyId: reply?.id }],
    ] as const) {
      expect(await command(server, document, { ...input, runtimeParameters: wrong })).toEqual(
        faults('runtimeParameters'),
      );
    }
  });
});

describe('a state', () => {
  let agentId: string;
  beforeAll(async () => {
    agentId = await newAgent({
      playbooks: [playbook('sales', 'opening', 'closing'), playbook('support', 'opening', 'solving'), playbook('chat')],
    });
  });

  const ways: [string, string, Input][] = [
    ['sendMessage', sendMessage, { content: { text: 'Next.' }, action: 'NONE' }],
    ['sendControl', sendControl, {}],
    ['addAgentMessage', addAgentMessage, { content: { text: 'Next.' } }],
    ['changeState', changeState, {}],
  ];

  async function conversationIn(state: Input): Promise<string> {
    const { conversation } = await command(server, createConversation, { agentId, action: 'NONE', state });
    return conversation.id;
  }

  async function stateOf(conversationId: string): Promise<[playbook: string | null, phase: string | null]> {
    const { playbook, phase } = await server.services.prisma.conversation.findUniqueOrThrow({
      where: { id: rowId('Conversation', conversationId) },
    });
    return [playbook, phase];
  }

  const nowhere = {};
  const opening = { playbook: 'sales', phase: 'opening' };
  const closing = { playbook: 'sales', phase: 'closing' };

  describe.each(ways)('that %s leaves behind', (_name, document, input) => {
    test.each<[string, Input, Input, [string | null, string | null]]>([
      ['a playbook', nowhere, { playbook: 'chat' }, ['chat', null]],
      ['a playbook with a phase', nowhere, closing, ['sales', 'closing']],
      ['another phase', opening, { phase: 'closing' }, ['sales', 'closing']],
      ['another playbook that has the phase', opening, { playbook: 'support' }, ['support', 'opening']],
      ['another playbook with a phase', closing, { playbook: 'support', phase: 'solving' }, ['support', 'solving']],
      ['another playbook and no phase', closing, { playbook: 'chat', phase: null }, ['chat', null]],
      ['no phase', closing, { phase: null }, ['sales', null]],
      ['nothing', closing, { playbook: null, phase: null }, [null, null]],
    ])('may be %s', async (_case, before, stateAfter, after) => {
      const conversationId = await conversationIn(before);
      expect((await command(server, document, { conversationId, ...input, stateAfter })).detail).toBeUndefined();
      expect(await stateOf(conversationId)).toEqual(after);
    });

    test.each<[string, Input, Input, string]>([
      ['a playbook that the agent does not have', nowhere, { playbook: 'juggling' }, 'playbook'],
      ['an empty name for a playbook', nowhere, { playbook: '' }, 'playbook'],
      ['such a playbook with a phase', nowhere, { playbook: 'juggling', phase: 'opening' }, 'playbook'],
      ['a phase without a playbook', nowhere, { phase: 'opening' }, 'phase'],
      ['a phase of another playbook', opening, { phase: 'solving' }, 'phase'],
      ['a phase of the former playbook', opening, { playbook: 'support', phase: 'closing' }, 'phase'],
      ['another playbook that does not have the phase', closing, { playbook: 'support' }, 'phase'],
      ['a phase and no playbook any more', closing, { playbook: null }, 'phase'],
      ['a phase and, explicitly, no playbook', closing, { playbook: null, phase: 'closing' }, 'phase'],
    ])('may not be %s', async (_case, before, stateAfter, field) => {
      const conversationId = await conversationIn(before);
      const refused = await command(server, document, { conversationId, ...input, stateAfter });
      expect(refused).toEqual(invalid(['stateAfter', field]));
      const { playbook = null, phase = null } = before;
      expect(await stateOf(conversationId)).toEqual([playbook, phase]);
      const next = await command(server, document, { conversationId, ...input, stateAfter: { context: 1 } });
      expect(next.conversation.version).toBe(document === changeState ? 2 : 3);
    });
  });

  test.each<[Input, string]>([
    [{ playbook: 'juggling' }, 'playbook'],
    [{ phase: 'opening' }, 'phase'],
    [{ playbook: 'sales', phase: 'solving' }, 'phase'],
  ])('of a new conversation may not be %j', async (state, field) => {
    const key = { idempotencyKey: `new conversation ${JSON.stringify(state)}` };
    const before = await server.services.prisma.conversation.count();
    expect(await command(server, createConversation, { agentId, state, ...key })).toEqual(invalid(['state', field]));
    expect(await server.services.prisma.conversation.count()).toBe(before);
  });

  test('never is in a phase of another playbook, however changes of both meet', async () => {
    const conversationId = await conversationIn(opening);
    const changes = [
      { playbook: 'sales' },
      { playbook: 'support' },
      { phase: 'closing' },
      { phase: 'solving' },
      { playbook: null },
      { phase: null },
      { phase: 'opening' },
    ];
    const allowed = ['sales', 'sales opening', 'sales closing', 'support', 'support opening', 'support solving', ''];
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(changes.map((stateAfter) => command(server, changeState, { conversationId, stateAfter })));
      expect(allowed).toContain((await stateOf(conversationId)).filter((name) => name !== null).join(' '));
      await command(server, changeState, { conversationId, stateAfter: closing });
    }
  });

  test('is repeated under its key although the agent has lost the playbook, and no new one can name it', async () => {
    const forgetful = await newAgent({ playbooks: [playbook('sales', 'opening')] });
    const starting = { agentId: forgetful, action: 'NONE', state: opening, idempotencyKey: 'forgetful: start' };
    const started = await command(server, createConversation, starting);
    const conversationId = started.conversation.id;
    const stateAfter = { phase: null };
    await command(server, changeState, { conversationId, stateAfter });
    const content = { text: 'Open it.' };
    const sending = { conversationId, content, action: 'NONE', stateAfter: opening, idempotencyKey: 'forgetful: send' };
    const sent = await command(server, sendMessage, sending);
    await update({ agentId: forgetful, playbooks: [] });

    expect((await command(server, createConversation, starting)).conversation.id).toBe(conversationId);
    expect((await command(server, sendMessage, sending)).message).toEqual(sent.message);
    const another = { ...sending, idempotencyKey: 'forgetful: another' };
    expect(await command(server, sendMessage, another)).toEqual(invalid(['stateAfter', 'playbook']));
    expect(await command(server, createConversation, { ...starting, idempotencyKey: null })).toEqual(
      invalid(['state', 'playbook']),
    );
    const { reply } = await command(server, sendMessage, {
      conversationId,
      content,
      stateAfter: { systemMessage: 'Go on without.' },
      awaitReply: true,
    });
    expect(reply?.text).toMatch(/^Answer/);
    expect(warm.lastTurn).toMatchObject({ playbook: null, state: { playbook: 'sales', phase: 'opening' } });
  });
});

/** Resolves when a statement on an agent waits for a lock. */
async function waitForLock(): Promise<void> {
  for (;;) {
    const { rows } = await server.services.pool.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%agent%'",
    );
    if (rows.length > 0) return;
  }
}
