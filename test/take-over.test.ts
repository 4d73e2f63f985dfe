import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import { addContact, addOperator, addOrganization, firstOrganization, mintToken } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
type Operator = Awaited<ReturnType<typeof addOperator>>;
let other: App;
let [kim, lou, boss]: Operator[] = [];
let agentId: string;

beforeAll(async () => {
  other = await startServer(server.databaseUrl, { runtimes: [runtime] });
  kim = await addOperator(server, { name: 'Kim', avatarUrl: 'https://example.com/kim.png' });
  lou = await addOperator(server, { name: 'Lou' });
  boss = await addOperator(server, { name: 'Boss', role: 'ADMIN' });
  agentId = await createAgent(server.services, 'scripted');
});
afterAll(() => other.close());

/** The operators, once they are there. */
const staff = () => {
  if (!kim || !lou || !boss) throw new Error('The operators are not there yet.');
  return { kim, lou, boss };
};

interface HandoffShown {
  id: string;
  status: string;
  assignee: string | null;
  queue: string | null;
  reason: string | null;
  waitingSince: string | null;
  startedAt: string;
  operator: { id: string; name: string } | null;
  author: { displayName: string; kind: string } | null;
}

interface Outcome {
  __typename: string;
  detail?: string;
  conversation?: { status: string; version: number; handoff: HandoffShown | null };
  handoff?: HandoffShown;
  message?: { author: Record<string, unknown> };
}

const handoffFields = `id status assignee queue reason waitingSince startedAt operator { id name } author { displayName kind }`;

async function run(target: Target, name: string, input: string, more = ''): Promise<Outcome> {
  const payload = `${name.charAt(0).toUpperCase()}${name.slice(1)}Payload`;
  const { result } = await ask<{ result: Outcome }>(
    target,
    `mutation { result: ${name}(input: { ${input} }) { __typename
      ... on ${payload} { conversation { status version handoff { ${handoffFields} } } ${more} }
      ... on UserError { detail } } }`,
  );
  return result;
}

async function newConversation(): Promise<string> {
  return (await createConversation(server, { action: 'NONE' })).conversation.id;
}

const takeOver = (who: Operator, id: string, more = '') =>
  run(who.target, 'takeOver', `conversationId: "${id}" ${more}`, `handoff { ${handoffFields} }`);
const say = (target: Target, id: string, text: string, more = '') =>
  run(
    target,
    'addAgentMessage',
    `conversationId: "${id}", content: { text: "${text}" } ${more}`,
    'message { author { kind displayName avatarUrl operator { id } } }',
  );
const transfer = (target: Target, id: string, to: string, more = '') =>
  run(target, 'transferHandoff', `conversationId: "${id}", to: { ${to} } ${more}`, `handoff { ${handoffFields} }`);

/** All handoffs of a conversation: who had it when. */
async function handoffsOf(id: string): Promise<[string, string | null][]> {
  const { conversation } = await ask<{ conversation: { handoffs: { nodes: HandoffShown[] } } }>(
    server,
    `{ conversation(id: "${id}") { handoffs { nodes { ${handoffFields} } } } }`,
  );
  return conversation.handoffs.nodes.map(({ status, assignee }) => [status, assignee]);
}

describe('taking over', () => {
  test('begins a handoff, stops the reply, and the agent is silent from then on', async () => {
    const { kim } = staff();
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const { reply } = await send(server, { conversationId: conversation.id, content: { text: 'Begin' } });
    const script = await runtime.replyTo('Begin');
    await script.begin('I will tell you');
    const taken = await takeOver(kim, conversation.id, ', reason: "It goes wrong."');
    expect(taken.conversation?.status).toBe('HANDED_OFF');
    expect(taken.handoff).toMatchObject({
      status: 'ACCEPTED',
      assignee: 'Kim',
      reason: 'It goes wrong.',
      waitingSince: null,
      operator: { id: kim.id, name: 'Kim' },
      author: { displayName: 'Kim', kind: 'HUMAN_AGENT' },
    });
    const { message } = await ask<{ message: { status: string } }>(
      server,
      `{ message(id: "${reply?.id ?? ''}") { status } }`,
    );
    expect(message.status).toBe('STOPPED');
    const next = await send(server, { conversationId: conversation.id, content: { text: 'And now?' } });
    expect(next.reply).toBeNull();
  });

  test('accepts the handoff that waits', async () => {
    const { kim } = staff();
    const id = await newConversation();
    const started = await run(server, 'startHandoff', `conversationId: "${id}", queue: "billing"`);
    const waiting = started.conversation?.handoff;
    expect(waiting).toMatchObject({
      status: 'WAITING',
      waitingSince: waiting?.startedAt,
      operator: null,
      author: null,
    });
    const taken = await takeOver(kim, id);
    expect(taken.handoff).toMatchObject({
      id: waiting?.id,
      status: 'ACCEPTED',
      queue: 'billing',
      operator: { id: kim.id },
    });
  });

  test('again does nothing', async () => {
    const { kim } = staff();
    const id = await newConversation();
    const first = await takeOver(kim, id);
    expect(await takeOver(kim, id)).toEqual(first);
  });

  test('from another takes naming them, and shows who had it before', async () => {
    const { kim, lou, boss } = staff();
    const id = await newConversation();
    await takeOver(kim, id, ', reason: "A refund"');
    for (const more of [
      '',
      `, expectedHolder: { operatorId: "${boss.id}" }`,
      ', expectedHolder: { assignee: "Kim" }',
    ]) {
      expect((await takeOver(lou, id, more)).__typename).toBe('HandedOffError');
    }
    const taken = await takeOver(lou, id, `, expectedHolder: { operatorId: "${kim.id}" }`);
    expect(taken.handoff).toMatchObject({ operator: { id: lou.id }, reason: 'A refund', status: 'ACCEPTED' });
    expect(await handoffsOf(id)).toEqual([
      ['ENDED', 'Kim'],
      ['ACCEPTED', 'Lou'],
    ]);
  });

  test('from somebody whom a program names takes naming them too', async () => {
    const { kim } = staff();
    const id = await newConversation();
    await run(server, 'startHandoff', `conversationId: "${id}", assignee: "Kim"`);
    expect((await takeOver(kim, id)).__typename).toBe('HandedOffError');
    expect((await say(kim.target, id, 'Hello')).__typename).toBe('HandedOffError');
    expect((await takeOver(kim, id, ', expectedHolder: { assignee: "Kim" }')).handoff?.operator?.id).toBe(kim.id);
    // A program does not become the holder by giving the operator's name.
    const accepted = await run(server, 'acceptHandoff', `conversationId: "${id}", assignee: "Kim"`);
    expect(accepted.__typename).toBe('HandedOffError');
  });

  test('by many at once, on two servers, gives it to one', async () => {
    const operators = await Promise.all(
      Array.from({ length: 6 }, (_, index) => addOperator(server, { name: `No. ${index}` })),
    );
    const id = await newConversation();
    const outcomes = await Promise.all(
      operators.map((each, index) =>
        takeOver({ ...each, target: { url: index % 2 ? other.url : server.url, key: each.key } }, id),
      ),
    );
    expect(outcomes.map(({ __typename: name }) => name).sort()).toEqual([
      ...Array(5).fill('HandedOffError'),
      'TakeOverPayload',
    ]);
    expect(await handoffsOf(id)).toHaveLength(1);
  });

  test.each(['ended', 'of another organization', 'at another version'])(
    'is refused for a conversation that is %s',
    async (what) => {
      const { kim } = staff();
      let id = await newConversation();
      if (what === 'ended') await run(server, 'endConversation', `conversationId: "${id}"`);
      if (what === 'of another organization') {
        const foreign = await addOrganization(server.services);
        id = (await createConversation({ url: server.url, key: foreign.key }, { action: 'NONE' })).conversation.id;
      }
      const { __typename: name } = await takeOver(kim, id, what === 'at another version' ? ', expectedVersion: 7' : '');
      expect(name).toBe(
        { ended: 'ConversationEndedError', 'of another organization': 'NotFoundError' }[what] ?? 'VersionConflictError',
      );
    },
  );
});

describe('answering', () => {
  test('with the credential of an operator is for the one who has it, and carries them as author', async () => {
    const { kim, lou, boss } = staff();
    const id = await newConversation();
    expect((await say(kim.target, id, 'Hello')).__typename).toBe('NotHandedOffError');
    await run(server, 'startHandoff', `conversationId: "${id}"`);
    expect((await say(kim.target, id, 'Hello')).__typename).toBe('HandedOffError');
    await takeOver(kim, id);
    for (const each of [lou, boss]) expect((await say(each.target, id, 'Hello')).__typename).toBe('HandedOffError');
    expect((await say(kim.target, id, 'Hello')).message?.author).toEqual({
      kind: 'HUMAN_AGENT',
      displayName: 'Kim',
      avatarUrl: 'https://example.com/kim.png',
      operator: { id: kim.id },
    });
    expect((await say(server, id, 'A program is free to')).__typename).toBe('AddAgentMessagePayload');
  });

  test('ends with the handoff of the one who had it, also on their way', async () => {
    const { kim, lou } = staff();
    const id = await newConversation();
    await takeOver(kim, id);
    const [, said] = await Promise.all([
      takeOver(lou, id, `, expectedHolder: { operatorId: "${kim.id}" }`),
      Promise.all(Array.from({ length: 5 }, (_, index) => say(kim.target, id, `No. ${index}`))),
    ]);
    const log = await server.services.prisma.event.findMany({
      where: { conversationId: decodeId('Conversation', id) ?? '' },
      orderBy: { version: 'asc' },
    });
    const types = log.map(({ type }) => type);
    // What Kim said stands before the end of Kim's handoff, and all else was refused.
    const stored = said.filter(({ __typename: name }) => name === 'AddAgentMessagePayload');
    expect(types).toEqual([
      'ConversationCreated',
      'HandoffStarted',
      ...stored.map(() => 'MessageCreated'),
      'HandoffEnded',
      'HandoffStarted',
    ]);
    expect((await say(kim.target, id, 'Too late')).__typename).toBe('HandedOffError');
  });

  test('says the same again for the same key, also when somebody else has it by then', async () => {
    const { kim, lou } = staff();
    const id = await newConversation();
    await takeOver(kim, id);
    const first = await say(kim.target, id, 'Once', ', idempotencyKey: "once"');
    await takeOver(lou, id, `, expectedHolder: { operatorId: "${kim.id}" }`);
    expect((await say(kim.target, id, 'Once', ', idempotencyKey: "once"')).message).toEqual(first.message);
    expect((await say(lou.target, id, 'Once', ', idempotencyKey: "once"')).message).toMatchObject({
      author: { displayName: 'Lou' },
    });
  });

  test('takes no other author, and an AGENT does not steer', async () => {
    const { kim } = staff();
    const id = await newConversation();
    await takeOver(kim, id);
    const other = await say(kim.target, id, 'Hello', ', author: { kind: HUMAN_AGENT, displayName: "The boss" }');
    expect(other.detail).toContain('author: ');
    const note = `conversationId: "${id}", content: { text: "Call back" }`;
    expect((await run(kim.target, 'addNote', `${note}, author: { displayName: "The boss" }`)).detail).toContain(
      'author: ',
    );
    const noted = await run(kim.target, 'addNote', note, 'message { author { kind displayName operator { id } } }');
    expect(noted.message?.author).toEqual({ kind: 'HUMAN_AGENT', displayName: 'Kim', operator: { id: kim.id } });
    const steering = await say(kim.target, id, 'Hello', ', stateAfter: { systemMessage: "Be kind." }');
    expect(steering.detail).toContain('stateAfter: ');
    const update = await run(kim.target, 'updateConversation', `conversationId: "${id}", runtimeParameters: {}`);
    expect(update.detail).toContain('runtimeParameters: ');
    const titled = await run(kim.target, 'updateConversation', `conversationId: "${id}", title: "A refund"`);
    expect(titled.__typename).toBe('UpdateConversationPayload');
  });
});

describe('handing on', () => {
  test('gives it to an operator at once, or lets it wait in a queue', async () => {
    const { kim, lou } = staff();
    const id = await newConversation();
    await takeOver(kim, id);
    const given = await transfer(kim.target, id, `operatorId: "${lou.id}"`, ', reason: "Lou knows."');
    expect(given.handoff).toMatchObject({ status: 'ACCEPTED', operator: { id: lou.id }, reason: 'Lou knows.' });
    expect((await say(kim.target, id, 'Bye')).__typename).toBe('HandedOffError');
    const queued = await transfer(lou.target, id, 'queue: "billing"');
    expect(queued.conversation?.status).toBe('HANDED_OFF');
    expect(queued.handoff).toMatchObject({
      status: 'WAITING',
      operator: null,
      assignee: null,
      queue: 'billing',
      reason: 'Lou knows.',
      waitingSince: queued.handoff?.startedAt,
    });
    expect(await transfer(lou.target, id, 'queue: "billing"')).toEqual(queued);
    expect(await handoffsOf(id)).toEqual([
      ['ENDED', 'Kim'],
      ['ENDED', 'Lou'],
      ['WAITING', null],
    ]);
  });

  test('is for the one who has it, for an ADMIN and for a program', async () => {
    const { kim, lou, boss } = staff();
    const id = await newConversation();
    await takeOver(kim, id);
    expect((await transfer(lou.target, id, `operatorId: "${lou.id}"`)).__typename).toBe('HandedOffError');
    expect((await transfer(boss.target, id, `operatorId: "${lou.id}"`)).handoff?.operator?.id).toBe(lou.id);
    expect((await transfer(server, id, 'queue: "night"')).handoff?.status).toBe('WAITING');
    expect((await transfer(kim.target, id, `operatorId: "${lou.id}"`)).handoff?.operator?.id).toBe(lou.id);
  });

  test('back to the agent is for the one who has it, for an ADMIN and for a program, and for everybody while it waits', async () => {
    const { kim, lou, boss } = staff();
    const id = await newConversation();
    const end = (target: Target) => run(target, 'endHandoff', `conversationId: "${id}"`);
    for (const target of [kim.target, boss.target, server]) {
      await takeOver(kim, id);
      expect((await end(lou.target)).__typename).toBe('HandedOffError');
      expect((await end(target)).conversation).toMatchObject({ status: 'ACTIVE', handoff: null });
    }
    expect((await end(lou.target)).__typename).toBe('NotHandedOffError');
    await run(server, 'startHandoff', `conversationId: "${id}", assignee: "Somebody else"`);
    expect((await end(lou.target)).__typename).toBe('HandedOffError');
    await end(server);
    await run(server, 'startHandoff', `conversationId: "${id}"`);
    expect((await end(lou.target)).__typename).toBe('EndHandoffPayload');
  });

  test('is refused for whoever is not there, for a conversation that nobody has, and for an empty queue', async () => {
    const { kim } = staff();
    const id = await newConversation();
    expect((await transfer(server, id, `operatorId: "${kim.id}"`)).__typename).toBe('NotHandedOffError');
    await takeOver(kim, id);
    const gone = await addOperator(server);
    await ask(server, `mutation { suspendOperator(input: { operatorId: "${gone.id}" }) { __typename } }`);
    expect((await transfer(server, id, `operatorId: "${gone.id}"`)).__typename).toBe('OperatorSuspendedError');
    const foreign = await addOrganization(server.services);
    const stranger = await addOperator({ url: server.url, key: foreign.key });
    for (const operatorId of [stranger.id, 'oper_nobody']) {
      expect((await transfer(server, id, `operatorId: "${operatorId}"`)).__typename).toBe('NotFoundError');
    }
    expect((await transfer(server, id, 'queue: " "')).detail).toContain('to.queue');
  });
});

test('an end user sees who is there, and nothing of whose it is', async () => {
  const { kim } = staff();
  const contactId = await addContact(server.services, await firstOrganization(server.services));
  const { conversation } = await createConversation(server, { contactId, action: 'NONE' });
  const endUser = { url: server.url, key: await mintToken(server, { contactId }) };
  await takeOver(kim, conversation.id);
  await say(kim.target, conversation.id, 'I am here');
  const read = `{ conversation(id: "${conversation.id}") {
    viewerCanSend viewerCanAnswer viewerCanTakeOver lastMessage { author { displayName operator { id } } }
    handoff { assignee queue reason operator { id } author { kind displayName operator { id } } waitingSince }
  } viewer { operator { id } } node(id: "${kim.id}") { id } }`;
  expect(await ask(endUser, read)).toEqual({
    conversation: {
      viewerCanSend: true,
      viewerCanAnswer: false,
      viewerCanTakeOver: false,
      lastMessage: { author: { displayName: 'Kim', operator: null } },
      handoff: {
        assignee: null,
        queue: null,
        reason: null,
        operator: null,
        author: { kind: 'HUMAN_AGENT', displayName: 'Kim', operator: null },
        waitingSince: null,
      },
    },
    viewer: { operator: null },
    node: null,
  });
});

test('everybody is told beforehand what they could do, and live', async () => {
  const { kim, lou } = staff();
  const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
  const { id } = conversation;
  const can = async (target: Target) => {
    const { conversation } = await ask<{ conversation: Record<string, boolean> }>(
      target,
      `{ conversation(id: "${id}") { viewerCanSend viewerCanAnswer viewerCanTakeOver } }`,
    );
    return Object.values(conversation);
  };
  const everybody = () => Promise.all([server, kim.target, lou.target].map(can));
  const [yes, no] = [true, false];
  expect(await everybody()).toEqual([
    [yes, yes, no],
    [no, no, yes],
    [no, no, yes],
  ]);
  const { reply } = await send(server, { conversationId: id, content: { text: 'Busy?' } });
  await (await runtime.replyTo('Busy?')).begin('Yes');
  expect(await can(server)).toEqual([no, no, no]);
  await ask(server, `mutation { stopReply(input: { replyId: "${reply?.id ?? ''}" }) { __typename } }`);
  const { conversation: followed } = await ask<{ conversation: { messages: { eventCursor: string } } }>(
    server,
    `{ conversation(id: "${id}") { messages(last: 1) { eventCursor } } }`,
  );
  const streams = [kim, lou].map(({ target }) =>
    subscribeWs<{ conversationEvents: { __typename: string; conversation?: Record<string, boolean> } }>(
      target,
      `subscription { conversationEvents(conversationId: "${id}", after: "${followed.messages.eventCursor}") { __typename
        ... on HandoffStarted { conversation { viewerCanAnswer viewerCanTakeOver } } } }`,
    ),
  );
  const told = streams.map(async (stream) => {
    for await (const { conversationEvents } of stream) {
      const { __typename: name, conversation } = conversationEvents;
      if (name === 'HandoffStarted') return conversation;
    }
    return undefined;
  });
  await takeOver(kim, id);
  expect(await Promise.all(told)).toEqual([
    { viewerCanAnswer: yes, viewerCanTakeOver: no },
    { viewerCanAnswer: no, viewerCanTakeOver: yes },
  ]);
  expect(await everybody()).toEqual([
    [yes, yes, no],
    [no, yes, no],
    [no, no, yes],
  ]);
  await run(server, 'endConversation', `conversationId: "${id}"`);
  expect(await everybody()).toEqual(Array(3).fill([no, no, no]));
});

describe('a list', () => {
  const listed = async (target: Target, args: string) => {
    const { conversations } = await ask<{
      conversations: { nodes: { id: string }[]; pageInfo: { endCursor: string } };
    }>(target, `{ conversations(${args}) { nodes { id } pageInfo { endCursor } } }`);
    return { ids: conversations.nodes.map(({ id }) => id), end: conversations.pageInfo.endCursor };
  };

  test('holds what is mine, somebody’s, or nobody’s', async () => {
    const [one, two] = [await addOperator(server), await addOperator(server)];
    const [mine, theirs, waiting, idle] = [
      await newConversation(),
      await newConversation(),
      await newConversation(),
      await newConversation(),
    ];
    await takeOver(one, mine);
    await takeOver(two, theirs);
    await run(server, 'startHandoff', `conversationId: "${waiting}"`);
    expect((await listed(one.target, 'filter: { assignedTo: { me: true } }')).ids).toEqual([mine]);
    expect((await listed(server, `filter: { assignedTo: { operatorId: "${two.id}" } }`)).ids).toEqual([theirs]);
    const { ids } = await listed(one.target, 'filter: { assignedTo: { nobody: true } }');
    expect([mine, theirs, waiting, idle].filter((id) => ids.includes(id))).toEqual([waiting]);
    await run(one.target, 'endHandoff', `conversationId: "${mine}"`);
    expect((await listed(one.target, 'filter: { assignedTo: { me: true } }')).ids).toEqual([]);
  });

  test('is of what waits, the longest first, in pages', async () => {
    const foreign = await addOrganization(server.services);
    const target = { url: server.url, key: foreign.key };
    const waiting: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      const { conversation } = await createConversation(target, { action: 'NONE' });
      if (index !== 2) waiting.push(conversation.id);
      if (index !== 2) await run(target, 'startHandoff', `conversationId: "${conversation.id}"`);
    }
    const order = (direction: string) => `orderBy: { field: WAITING_SINCE, direction: ${direction} }`;
    expect((await listed(target, order('ASC'))).ids).toEqual(waiting);
    expect((await listed(target, order('DESC'))).ids).toEqual(waiting.toReversed());
    const first = await listed(target, `${order('ASC')}, first: 3`);
    const rest = await listed(target, `${order('ASC')}, first: 3, after: "${first.end}"`);
    expect([...first.ids, ...rest.ids]).toEqual(waiting);
    const [longest = ''] = waiting;
    await run(target, 'acceptHandoff', `conversationId: "${longest}", assignee: "Kim"`);
    expect((await listed(target, order('ASC'))).ids).toEqual(waiting.slice(1));
  });

  test.each([
    ['a key', 'filter: { assignedTo: { me: true } }'],
    ['an operator', 'filter: { assignedTo: { me: false } }'],
    ['an end user', 'filter: { assignedTo: { nobody: true } }'],
    ['an end user', 'orderBy: { field: WAITING_SINCE, direction: ASC }'],
  ])('refuses from %s: %s', async (who, args) => {
    const contactId = await addContact(server.services, await firstOrganization(server.services));
    const key =
      { 'an operator': staff().kim.key, 'an end user': await mintToken(server, { contactId }) }[who] ?? server.key;
    const { errors } = await graphql({ url: server.url, key }, `{ conversations(${args}) { nodes { id } } }`);
    expect(errors?.[0]?.extensions?.code).toBe('BAD_USER_INPUT');
  });

  test('is told live of what becomes mine, and of what leaves', async () => {
    const one = await addOperator(server);
    const id = await newConversation();
    const stream = subscribeWs<{ conversationChanges: { kind: string; conversationId: string | null } }>(
      one.target,
      'subscription { conversationChanges(filter: { assignedTo: { me: true } }) { kind conversationId } }',
    );
    const next = async () => (await stream.next()).value?.conversationChanges;
    expect(await next()).toMatchObject({ kind: 'READY' });
    await takeOver(one, id);
    expect(await next()).toMatchObject({ kind: 'ENTERED', conversationId: id });
    await transfer(one.target, id, 'queue: "night"');
    expect(await next()).toMatchObject({ kind: 'LEFT', conversationId: id });
    await stream.return();
  });
});
