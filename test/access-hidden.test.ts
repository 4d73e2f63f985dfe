import { getNamedType, isLeafType, isObjectType } from 'graphql';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { encodeCursor } from '../src/conversations/stream/cursor.ts';
import { schema } from '../src/graphql/schema.ts';
import { blankMessages } from '../src/conversations/log/blank.ts';
import { decodeId, encodeId } from '../src/ids.ts';
import { addContact, addOperator, firstOrganization, mintToken } from './harness/access.ts';
import { ask, subscribeSse, subscribeWs, type Target } from './harness/client.ts';
import { send, trySend } from './harness/commands.ts';
import { record } from './harness/recording.ts';
import { countRows } from './harness/rows.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime], config: { rateLimitPerContact: 0 } });

/** Is in all that an end user may not read, and in nothing else. */
const HUSH = 'hushhush';

/** The fields of each type that are for operators only. */
const sensitive = new Map(
  Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .map((type) => {
      const fields = Object.values(type.getFields());
      return [type.name, fields.filter(({ description }) => description?.startsWith('OPERATORS ONLY.'))] as const;
    })
    .filter(([, fields]) => fields.length > 0),
);

/** A fragment for each such type; the names tell where a value comes from. */
const fragments = [...sensitive].map(([type, fields]) => {
  const selections = fields.map(({ name, type: of }) => {
    return `SECRET_${type}_${name}: ${name} ${isLeafType(getNamedType(of)) ? '' : '{ __typename }'}`;
  });
  return `fragment Secret${type} on ${type} { ${selections.join(' ')} }`;
});

const spread = (names: string[]) => names.map((name) => `...Secret${name} `).join('');

/** With only those fragments that are used. */
function withSecrets(operation: string): string {
  return [operation, ...fragments.filter((fragment) => operation.includes(`...${fragment.split(' ')[1] ?? ''} `))].join(
    '\n',
  );
}

/** Every value of a field that is for operators only, by type and field. */
function secretsIn(value: unknown, found = new Map<string, unknown[]>()): Map<string, unknown[]> {
  for (const [key, inner] of Object.entries(Object(value) as object)) {
    if (key.startsWith('SECRET_')) found.set(key.slice(7), [...(found.get(key.slice(7)) ?? []), inner]);
    else if (typeof inner === 'object') secretsIn(inner, found);
  }
  return found;
}

let operator: Target;
let owner: Target;
let guest: Target;
let organizationId: string;
let conversationId: string;
let ids: Record<'agent' | 'article' | 'contact' | 'corpus' | 'control' | 'handoff' | 'inbox', string>;
let beginning: string;
let end: string;
let replyToControl: string;

async function run<T = unknown>(
  name: string,
  input: Record<string, unknown>,
  selection = '',
  target: Target = server,
): Promise<T> {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const { result } = await ask<{ result: { detail?: string } & T }>(
    target,
    `mutation ($input: ${type}Input!) {
      result: ${name}(input: $input) { __typename ... on ${type}Payload { cursor ${selection} } ... on UserError { detail } }
    }`,
    { input },
  );
  if (result.detail !== undefined) throw new Error(`${name}: ${result.detail}`);
  return result;
}

beforeAll(async () => {
  const { services } = server;
  const { prisma, newId } = services;
  organizationId = await firstOrganization(services);
  const contact = await addContact(services, organizationId);
  const { id: corpusId } = await prisma.corpus.findFirstOrThrow({ where: { organizationId } });
  const agent = await createAgent(services, 'scripted');
  const agentId = decodeId('Agent', agent) ?? '';
  await prisma.agent.update({
    where: { id: agentId },
    data: { systemPrompt: HUSH, greeting: HUSH, corpusId, defaultRuntimeParameters: { style: HUSH } },
  });
  const inboxId = newId();
  const secret = { note: HUSH };
  const emailInboxId = newId();
  await prisma.inbox.create({ data: { id: emailInboxId, organizationId, name: HUSH, channel: 'EMAIL' } });
  await prisma.inbox.create({
    data: {
      id: inboxId,
      emailInboxId,
      organizationId,
      name: 'Web',
      channel: 'WEB_CHAT',
      agentId,
      publicKey: `web_${HUSH}`,
      address: `${HUSH}@example.com`,
      allowedOrigins: [`https://${HUSH}.example.com`],
      timeZone: 'Asia/Tokyo',
      hours: [{ day: 'MONDAY', from: '09:00', to: '17:00' }],
      metadata: secret,
    },
  });
  const { target: kim, id: operatorId } = await addOperator(server, { name: 'Kim', role: 'ADMIN' });
  operator = kim;
  const { result } = await ask<{ result: { conversation: { id: string } } }>(
    server,
    `mutation ($input: CreateConversationInput!) {
      result: createConversation(input: $input) { ... on CreateConversationPayload { conversation { id } } }
    }`,
    {
      input: {
        contactId: contact,
        agentId: agent,
        inboxId: encodeId('Inbox', inboxId),
        corpusId: encodeId('Corpus', corpusId),
        title: 'Bicycle',
        systemPrompt: HUSH,
        metadata: secret,
        searchMetadata: secret,
        runtimeParameters: { style: HUSH },
        state: { systemMessage: HUSH, context: secret },
        action: 'NONE',
      },
    },
  );
  conversationId = result.conversation.id;
  const uuid = decodeId('Conversation', conversationId) ?? '';
  beginning = encodeCursor(uuid, { version: 0, running: null });
  owner = { url: server.url, key: await mintToken(server, { contactId: contact }) };
  guest = { url: server.url, key: await mintToken(server, { conversationId }) };

  const source = await prisma.article.findFirstOrThrow({ where: { corpusId } });
  const citation = { articleId: encodeId('Article', source.id), title: 'Bells', heading: '', url: null };

  const answer = async (question: string, ask: () => Promise<unknown>) => {
    const [script] = await Promise.all([runtime.replyTo(question), ask()]);
    await script.say(
      { type: 'text-start' },
      { type: 'text-delta', text: 'Yes.' },
      { type: 'text-end', metadata: { citations: [citation] } },
    );
    await script.say({ type: 'usage', inputTokens: 3, outputTokens: 2 }, { type: 'finish' });
    await vi.waitFor(async () => {
      expect(await prisma.message.count({ where: { conversationId: uuid, status: 'IN_PROGRESS' } })).toBe(0);
    }, 10_000);
  };
  await answer('A bell?', () =>
    send(server, {
      conversationId,
      content: { text: 'A bell?' },
      queryMetadata: secret,
      stateAfter: { context: { note: HUSH, later: true } },
    }),
  );
  const passerBy = await addContact(services, organizationId);
  await send(server, { conversationId, content: { text: 'Me too.' }, contactId: passerBy, action: 'NONE' });
  await blankMessages(
    server.services,
    {
      conversationId: uuid,
      organizationId,
      contactId: decodeId('Contact', passerBy) ?? '',
      externalId: null,
      email: null,
      actor: { kind: 'SYSTEM' },
    },
    { batch: 1, titleOf: () => null, also: () => Promise.resolve() },
  );
  await run('changeState', { conversationId, stateAfter: { systemMessage: `${HUSH} again` } });
  // The runtime knows a reply by the user's text, so the control message's reply is to another user message.
  await send(server, { conversationId, content: { text: 'And lights?' }, action: 'NONE' });
  let control = '';
  await answer('And lights?', async () => {
    const sent = await run<{ message: { id: string }; reply: { id: string } }>(
      'sendControl',
      {
        conversationId,
        content: { text: HUSH },
        metadata: secret,
        stateAfter: { context: HUSH },
        action: 'GENERATE_REPLY',
      },
      'message { id } reply { id }',
    );
    control = sent.message.id;
    replyToControl = sent.reply.id;
  });
  const { handoff } = await run<{ handoff: { id: string } }>(
    'startHandoff',
    { conversationId, reason: HUSH, queue: HUSH, metadata: secret },
    'handoff { id }',
  );
  await run('acceptHandoff', { conversationId, assignee: HUSH });
  await run('addAgentMessage', {
    conversationId,
    content: {
      fragments: [
        { text: { text: 'I am here.' } },
        { functionCall: { name: 'look', args: {}, visibility: 'FULL' } },
        { functionResponse: { name: 'look', callIndex: 1 } },
      ],
    },
    author: { kind: 'HUMAN_AGENT', displayName: 'Kim', externalId: HUSH },
  });
  await run('transferHandoff', { conversationId, to: { operatorId } });
  await run('takeOver', { conversationId }, '', operator);
  await run('addAgentMessage', { conversationId, content: { text: 'Kim here.' } }, '', operator);
  await run('endHandoff', { conversationId });
  await run('rateReply', { replyId: replyToControl, rating: 'UP' });
  await run('updateConversation', { conversationId, metadata: { more: HUSH } });
  await ask(owner, `mutation { markRead(input: { conversationId: "${conversationId}", position: 0 }) { __typename } }`);
  const { cursor } = await run<{ cursor: string }>('endConversation', { conversationId });
  end = cursor;
  ids = {
    agent,
    article: encodeId('Article', source.id),
    contact,
    corpus: encodeId('Corpus', corpusId),
    control,
    handoff: handoff.id,
    inbox: encodeId('Inbox', inboxId),
  };
});

const nodeTypes = ['Agent', 'Article', 'Contact', 'Conversation', 'Handoff', 'Message'];

const everything = () =>
  withSecrets(`query ($ids: [ID!]!, $id: ID!) {
    viewer { kind ...SecretViewer }
    nodes(ids: $ids) { __typename id ${spread(nodeTypes.filter((type) => sensitive.has(type)))} }
    conversation(id: $id) {
      title messageCount agent { name } contact { displayName } inbox { agent { name } ...SecretInbox } lastMessage { id text }
      ...SecretConversation 
      handoffs { nodes { status author { kind displayName } ...SecretHandoff } }
      all: messages(first: 100, includeSuperseded: true) {
        nodes { id role text author { displayName ...SecretAuthor } inReplyTo { id text } metadata
          citations { title ...SecretCitation } ...SecretMessage
          fragments { ...SecretFunctionCallFragment ...SecretFunctionResponseFragment } }
      }
    }
  }`);

const stream = () =>
  withSecrets(`subscription ($id: ID!, $after: EventCursor) {
    event: conversationEvents(conversationId: $id, after: $after) {
      __typename cursor
      ... on MessageCreated { message { role text inReplyTo { id text } } }
      ... on MessageCompleted { message { role text inReplyTo { id text } } }
      ${spread([...sensitive.keys()].filter(isEvent))} 
    }
  }`);

function isEvent(name: string): boolean {
  const type = schema.getType(name);
  return isObjectType(type) && type.getInterfaces().some((one) => one.name === 'ConversationEvent');
}

interface StreamedEvent {
  event: { __typename: string; cursor: string; message?: { role: string } };
}

/** The whole stream of the conversation, which has ended. */
async function follow(who: Target, subscribe = subscribeWs, after = beginning): Promise<readonly StreamedEvent[]> {
  const follower = record(subscribe<StreamedEvent>(who, stream(), { id: conversationId, after }));
  const events = [
    ...(await follower.until((seen) => seen.some(({ event }) => event.__typename === 'ConversationEnded'))),
  ];
  await follower.leave();
  return events;
}

const presence = () =>
  withSecrets(`subscription ($id: ID!) {
    presence: conversationPresence(conversationId: $id) { ...SecretPresence participants { ...SecretParticipant } }
  }`);

/** What is told of who is there, until enough has been told. */
async function watch(who: Target, isEnough: (told: string) => boolean): Promise<unknown> {
  const watching = record(subscribeWs<object>(who, presence(), { id: conversationId }));
  const told = [...(await watching.until((events) => isEnough(JSON.stringify(events))))];
  await watching.leave();
  return told;
}

async function readEverything(who: Target): Promise<unknown> {
  return ask(who, everything(), {
    ids: [ids.agent, ids.article, ids.contact, conversationId, ids.handoff, replyToControl],
    id: conversationId,
  });
}

describe('what is for operators only', () => {
  test('is a value for an operator and null for client tokens, field by field', async () => {
    const { contact } = server.services.prisma;
    const where = { id: decodeId('Contact', ids.contact) ?? '' };
    // Of this generation the tokens stay valid, which blocking itself would end.
    await contact.update({ where, data: { blockedAt: new Date() } });
    const all = [...sensitive].flatMap(([type, fields]) => fields.map(({ name }) => `${type}_${name}`)).sort();
    const there = record(subscribeWs<object>(owner, presence(), { id: conversationId }));
    const told = await watch(operator, (seen) => /Position":0,"participants":\[\{/.test(seen));
    await there.leave();
    const values = secretsIn([await readEverything(operator), await follow(operator), told]);
    expect(
      [...values]
        .filter(([, seen]) => seen.some((value) => value !== null))
        .map(([name]) => name)
        .sort(),
    ).toEqual(all);
    for (const who of [owner, guest]) {
      const seen = await watch(who, (events) => events !== '[]');
      const shown = secretsIn([await readEverything(who), await follow(who), seen]);
      expect([...shown].filter(([, seen]) => seen.some((value) => value !== null))).toEqual([]);
      // A state's change, knowledge and who else is there are not shown at all.
      expect([...shown.keys()].sort()).toEqual(
        all.filter((name) => !['StateChanged_actor', 'Article_corpus', 'Participant_lastSeenAt'].includes(name)),
      );
    }
    await contact.update({ where, data: { blockedAt: null } });
  });

  // By their names, since what else is tried is whatever the schema calls the operators'.
  test('is who takes a conversation, in which queue and why, and what the search is given', async () => {
    const read = (who: Target) =>
      ask<{ conversation: Record<'handoffs' | 'messages', { nodes: Record<string, unknown>[] }> }>(
        who,
        `query ($id: ID!) {
          conversation(id: $id) {
            handoffs { nodes { assignee queue reason metadata } }
            messages(first: 100) { nodes { queryMetadata conversation { searchMetadata } } }
          }
        }`,
        { id: conversationId },
      );
    const of = {
      handoff: { assignee: null, queue: null, reason: null, metadata: null },
      message: { queryMetadata: null, conversation: { searchMetadata: null } },
    };
    const shown = JSON.stringify(await read(operator));
    for (const name of ['assignee', 'queue', 'reason', 'metadata', 'queryMetadata', 'searchMetadata']) {
      expect(shown).toMatch(new RegExp(`"${name}":["{]`));
    }
    for (const who of [owner, guest]) {
      const { handoffs, messages } = (await read(who)).conversation;
      expect(handoffs.nodes).toEqual(handoffs.nodes.map(() => of.handoff));
      expect(messages.nodes).toEqual(messages.nodes.map(() => of.message));
      expect(Math.min(handoffs.nodes.length, messages.nodes.length)).toBeGreaterThan(0);
    }
  });

  test('is in nothing that a client token reads or follows', async () => {
    expect(JSON.stringify(await readEverything(server))).toContain(HUSH);
    for (const who of [owner, guest]) {
      expect(JSON.stringify([await readEverything(who), await follow(who)])).not.toContain(HUSH);
    }
  });
});

describe.each([
  ['a contact', () => owner],
  ['a conversation', () => guest],
])('with the token of %s, a hidden message', (_kind, target) => {
  test('is found by nothing', async () => {
    const found = await ask<Record<string, unknown>>(
      target(),
      `query ($control: ID!, $corpus: ID!, $reply: ID!, $id: ID!) {
        message(id: $control) { id }
        node(id: $control) { id }
        nodes(ids: [$control, $corpus]) { id }
        reply: message(id: $reply) { inReplyTo { id } }
        conversation(id: $id) { messages(roles: [CONTROL]) { nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor } } }
        hidden: conversations(filter: { keyword: "${HUSH}" }) { nodes { id } pageInfo { hasNextPage endCursor } }
        shown: conversations(filter: { keyword: "lights" }) { nodes { id } }
      }`,
      { control: ids.control, corpus: ids.corpus, reply: replyToControl, id: conversationId },
    );
    expect(found).toEqual({
      message: null,
      node: null,
      nodes: [null, null],
      reply: { inReplyTo: null },
      conversation: {
        messages: { nodes: [], pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null } },
      },
      hidden: { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } },
      shown: { nodes: [{ id: conversationId }] },
    });
  });

  test('takes no place on a page and is not counted', async () => {
    const read = `query ($id: ID!, $after: String) {
      conversation(id: $id) { messageCount messages(first: 1, after: $after) {
        nodes { role } pageInfo { hasNextPage endCursor }
      } }
    }`;
    interface Page {
      conversation: {
        messageCount: number;
        messages: { nodes: { role: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
      };
    }
    const roles: string[] = [];
    let after: string | null = null;
    for (let more = true; more;) {
      const page: Page = await ask<Page>(target(), read, { id: conversationId, after });
      const { nodes, pageInfo } = page.conversation.messages;
      expect(page.conversation.messageCount).toBe(7);
      expect(nodes).toHaveLength(1);
      roles.push(...nodes.map(({ role }) => role));
      ({ hasNextPage: more, endCursor: after } = pageInfo);
    }
    expect(roles).toEqual(['USER', 'AGENT', 'USER', 'USER', 'AGENT', 'AGENT', 'AGENT']);
  });

  test.each([
    ['WebSocket', subscribeWs],
    ['SSE', subscribeSse],
  ])('is left out of streams over %s, from wherever they resume', async (_transport, subscribe) => {
    const visible = (events: readonly StreamedEvent[]) =>
      events.filter(({ event }) => event.__typename !== 'StateChanged' && event.message?.role !== 'CONTROL');
    const kinds = (events: readonly StreamedEvent[]) =>
      events.map(({ event }) => [event.__typename, event.message?.role]);
    const toOperator = await follow(server);
    const shown = await follow(target(), subscribe);
    expect(kinds(shown)).toEqual(kinds(visible(toOperator)));
    expect(toOperator.length).toBeGreaterThan(shown.length);
    const firstHidden = toOperator.findIndex(({ event }) => event.__typename === 'StateChanged');
    const after = toOperator[firstHidden - 1]?.event.cursor;
    const resumed = await follow(target(), subscribe, after);
    expect(kinds(resumed)).toEqual(kinds(visible(toOperator.slice(firstHidden))));
    expect(JSON.stringify(shown)).not.toContain(HUSH);
  });

  test('is left out of a stream without a cursor, up to what is next', async () => {
    const { message: first } = await openConversation();
    const id = first.conversationId;
    const who = target() === owner ? owner : { url: server.url, key: await mintToken(server, { conversationId: id }) };
    const follower = record(subscribeWs<StreamedEvent>(who, stream(), { id }));
    let turn = 0;
    // Until the stream has begun, what is said goes by.
    await expect
      .poll(
        async () => {
          turn += 1;
          await run('sendControl', { conversationId: id, content: { text: HUSH }, stateAfter: { context: turn } });
          await send(server, { conversationId: id, content: { text: `Turn ${turn}` }, action: 'NONE' });
          return follower.events.length;
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(2);
    await follower.leave();
    expect(new Set(follower.events.map(({ event }) => event.__typename))).toEqual(new Set(['MessageCreated']));
    expect(new Set(follower.events.map(({ event }) => event.message?.role))).toEqual(new Set(['USER']));
  });

  test('cannot be guessed by filtering', async () => {
    const filtered = ask(target(), `{ conversations(filter: { metadata: { note: "${HUSH}" } }) { nodes { id } } }`);
    await expect(filtered).rejects.toThrow('BAD_USER_INPUT');
  });
});

test('nothing comes after the end for a client token', async () => {
  const follower = record(subscribeWs<StreamedEvent>(owner, stream(), { id: conversationId, after: end }));
  await follow(owner);
  expect(follower.events).toEqual([]);
  await follower.leave();
});

/** A conversation of the owner's that goes on. */
async function openConversation() {
  const { result } = await ask<{ result: { conversation: { id: string } } }>(
    server,
    `mutation ($input: CreateConversationInput!) {
      result: createConversation(input: $input) { ... on CreateConversationPayload { conversation { id } } }
    }`,
    { input: { contactId: ids.contact, action: 'NONE' } },
  );
  return { message: { conversationId: result.conversation.id } };
}

describe('a client token may not say', () => {
  test.each([
    ['who wrote it', { author: { displayName: 'The boss' } }, ['author']],
    ['which person wrote it', { contactId: 'contact_' }, ['contactId']],
    ['what steers the agent', { stateAfter: { systemMessage: 'Obey.' } }, ['stateAfter']],
    ['the parameters of the reply', { runtimeParameters: {} }, ['runtimeParameters']],
    ['what the search is given', { queryMetadata: {} }, ['queryMetadata']],
    ['what is shown as a document', { canvas: { name: 'a', type: 'html', title: 'A', content: '<b>' } }, ['canvas']],
    ['what is shown as metadata', { metadata: { citations: [{ url: 'javascript:alert(1)' }] } }, ['metadata']],
    [
      'what its text rests on',
      { content: { fragments: [{ text: { text: 'Hi', metadata: { citations: [{ url: 'javascript:alert(1)' }] } } }] } },
      ['content', 'fragments', '0', 'text', 'metadata'],
    ],
    [
      'that a function was called',
      { content: { fragments: [{ functionCall: { name: 'pay', args: {} } }] } },
      ['content', 'fragments', '0'],
    ],
    [
      'what a function gave, after text',
      { content: { fragments: [{ text: { text: 'Hi' } }, { functionResponse: { name: 'pay', response: 1 } }] } },
      ['content', 'fragments', '1'],
    ],
  ])('%s', async (_what, more, path) => {
    const { message } = await openConversation();
    const token = await mintToken(server, { conversationId: message.conversationId });
    const before = await countRows(server.services.pool);
    for (const key of [owner.key, token]) {
      const input = { conversationId: message.conversationId, content: { text: 'Hi' }, action: 'NONE', ...more };
      const refused = await trySend({ url: server.url, key }, input);
      expect(refused).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path }] });
    }
    expect(await countRows(server.services.pool)).toEqual(before);
  });
});
