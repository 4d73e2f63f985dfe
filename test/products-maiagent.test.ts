import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, graphql, subscribeSse, type Target } from './harness/client.ts';
import {
  addAgent,
  addContact,
  addCorpus,
  addInbox,
  addTenant,
  command,
  ImmediateRuntime,
  replyIdOf,
  rowId,
  type Tenant,
} from './harness/products.ts';
import { record } from './harness/recording.ts';
import { ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';

/*
 * What users of MaiAgent rely on, and what it is in Parley:
 *
 * completions without a conversation      createConversation with a message
 * completions with a conversation         sendMessage
 * isStreaming: false                      awaitReply: true
 * isStreaming: true                       replyEvents, by server-sent events
 * chatbot                                 agentId
 * webChat, inbox                          inboxId
 * message.content, contentPayload,        content, contentPayload, queryMetadata, canvas
 *   queryMetadata, canvas
 * message.sender, a contact               contactId; author.contact
 * 400 for a contact of somebody else      NotFoundError with the path of contactId
 * messages/outgoing                       addAgentMessage
 * citations                               metadata.citations of the reply's text
 * conversations: inbox, keyword           conversations(filter { keyword })
 * cursor, pageSize                        after or before, first or last
 * messages of a conversation              conversation.messages
 */

const scripted = new ScriptedRuntime();
const immediate = new ImmediateRuntime('immediate');
const server = useServer({ runtimes: [scripted, immediate] });
let agentId: string;

beforeAll(async () => {
  agentId = await addAgent(server.services, { runtime: 'immediate' });
});

const canvas = 'canvas { name type title content }';
const author = 'author { kind displayName avatarUrl contact { id } }';
const message = `id role status text contentPayload queryMetadata createdAt ${canvas} ${author}`;
const conversation = `id title status version messageCount contact { id displayName avatarUrl }
  inbox { id name channel } lastMessage { id text } createdAt updatedAt`;
const failure =
  '... on UserError { detail } ... on NotFoundError { path } ... on InvalidInputError { issues { path detail } }';

const createConversation = `mutation ($input: CreateConversationInput!) {
  result: createConversation(input: $input) {
    __typename ${failure}
    ... on CreateConversationPayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const sendMessage = `mutation ($input: SendMessageInput!) {
  result: sendMessage(input: $input) {
    __typename ${failure}
    ... on SendMessagePayload { cursor conversation { ${conversation} } message { ${message} } reply { ${message} } }
  }
}`;
const addAgentMessage = `mutation ($input: AddAgentMessageInput!) {
  result: addAgentMessage(input: $input) {
    __typename ${failure}
    ... on AddAgentMessagePayload { conversation { ${conversation} } message { ${message} } }
  }
}`;
const sendControl = `mutation ($input: SendControlInput!) {
  result: sendControl(input: $input) { __typename ${failure} ... on SendControlPayload { message { ${message} } } }
}`;
/** A conversation, empty unless something is said in it. */
async function newConversation(
  target: Target,
  input: Record<string, unknown> = {},
  ...texts: string[]
): Promise<string> {
  const created = await command(target, createConversation, { action: 'NONE', ...input });
  for (const text of texts) await say(target, created.conversation.id, text);
  return created.conversation.id;
}

function say(target: Target, conversationId: string, text: string) {
  return command(target, sendMessage, { conversationId, content: { text }, action: 'NONE' });
}

interface Page {
  nodes: { id: string }[];
  pageInfo: { endCursor: string | null; hasNextPage: boolean };
}

async function listPage(
  target: Target,
  { keyword, filter, ...variables }: { keyword?: string; filter?: object; [name: string]: unknown },
): Promise<Page> {
  const query = `query ($first: Int, $last: Int, $after: String, $filter: ConversationFilter) {
    conversations(
      first: $first, last: $last, after: $after, filter: $filter
      orderBy: { field: CREATED_AT, direction: ASC }
    ) { nodes { ${conversation} } pageInfo { endCursor hasNextPage } }
  }`;
  const narrowed = { ...variables, filter: { ...filter, ...(keyword !== undefined && { keyword }) } };
  return (await ask<{ conversations: Page }>(target, query, narrowed)).conversations;
}

/** The ids of a list, oldest conversation first. */
async function list(target: Target, variables: Parameters<typeof listPage>[1]): Promise<string[]> {
  return (await listPage(target, variables)).nodes.map(({ id }) => id);
}

describe('sending a message', () => {
  test('without a conversation creates one, with it goes on in it', async () => {
    const first = await command(server, createConversation, {
      agentId,
      message: { content: { text: 'Hi!' } },
      awaitReply: true,
    });
    expect(first).toMatchObject({
      __typename: 'CreateConversationPayload',
      conversation: { messageCount: 2, lastMessage: { id: replyIdOf(first), text: first.reply?.text } },
      message: { role: 'USER', text: 'Hi!' },
      reply: { role: 'AGENT', status: 'DONE', text: /./ },
    });
    const conversationId = first.conversation.id;
    const second = await command(server, sendMessage, {
      conversationId,
      content: { text: 'Again!' },
      awaitReply: true,
    });
    expect(second).toMatchObject({ conversation: { id: conversationId, messageCount: 4 }, reply: { status: 'DONE' } });
    expect(immediate.lastTurn.history.map(({ role }) => role)).toEqual(['USER', 'AGENT', 'USER']);
  });

  test('arrives by an inbox, whose agent answers', async () => {
    const inboxId = await addInbox(server.services, { name: 'Web chat', agentId: rowId('Agent', agentId) });
    const message = { content: { text: 'Hi!' } };
    const sent = await command(server, createConversation, { inboxId, message, awaitReply: true });
    expect(sent).toMatchObject({
      conversation: { inbox: { id: inboxId, name: 'Web chat', channel: 'WEB_CHAT' } },
      reply: { text: expect.stringMatching(/^Answer no/) },
    });
  });

  test('brings a payload beside the content, metadata for the search, and a canvas', async () => {
    const beside = {
      contentPayload: { form: { fields: [{ name: 'size', value: 42 }] } },
      queryMetadata: { labels: ['shoes'], language: 'zh-TW' },
      canvas: { name: 'size-chart', type: 'markdown', title: '尺寸表', content: '| 42 | 27 cm |' },
    };
    const started = await command(server, createConversation, {
      agentId,
      message: { content: { text: 'Does it fit?' }, ...beside },
      awaitReply: true,
    });
    expect(started.message).toMatchObject(beside);
    expect(immediate.lastTurn.history).toMatchObject([{ text: 'Does it fit?', queryMetadata: beside.queryMetadata }]);

    const conversationId = started.conversation.id;
    const sent = await command(server, sendMessage, { conversationId, content: { text: 'And this?' }, ...beside });
    const read = `query ($id: ID!) { message(id: $id) { ${message} } }`;
    expect(await ask(server, read, { id: sent.message.id })).toMatchObject({ message: beside });
  });

  test('without any of them has none', async () => {
    const conversationId = await newConversation(server);
    const none = { contentPayload: null, queryMetadata: null, canvas: null };
    expect((await say(server, conversationId, 'Plain.')).message).toMatchObject(none);
  });

  test("can be the agent's: an outgoing message with a payload and a canvas", async () => {
    const conversationId = await newConversation(server, { agentId });
    const asked = await say(server, conversationId, 'Do you have a plan?');
    const beside = {
      contentPayload: { buttons: ['Yes', 'No'] },
      canvas: { name: 'plan', type: 'html', title: 'Plan', content: '<ol><li>Wait</li></ol>' },
    };
    const sent = await command(server, addAgentMessage, {
      conversationId,
      content: { text: 'Here is the plan. Fine?' },
      inReplyToId: asked.message.id,
      ...beside,
    });
    expect(sent).toMatchObject({
      conversation: { lastMessage: { id: sent.message.id } },
      message: { role: 'AGENT', status: 'DONE', author: { kind: 'AI_AGENT', displayName: 'Robin' }, ...beside },
    });
  });
});

describe('the sender of a message', () => {
  const name = { displayName: '林小美', avatarUrl: 'https://example.org/lin.png' };

  test('is a contact, who becomes its author', async () => {
    const [owner, guest] = [await addContact(server.services), await addContact(server.services, name)];
    const conversationId = await newConversation(server, { contactId: owner });
    const input = { conversationId, content: { text: '你好' }, action: 'NONE' };
    const sent = await command(server, sendMessage, { ...input, contactId: guest });
    expect(sent).toMatchObject({
      conversation: { contact: { id: owner } },
      message: { role: 'USER', author: { kind: 'END_USER', ...name, contact: { id: guest } } },
    });
    expect((await command(server, sendMessage, input)).message).toMatchObject({ author: { contact: { id: owner } } });
  });

  test.each([
    ['of another organization', foreignContact],
    ['unknown', () => Promise.resolve('contact_00000000000000000000000000')],
    ['no id at all', () => Promise.resolve('林小美')],
    ['the id of something else', () => Promise.resolve(agentId)],
  ])('who is %s is refused, and nothing is written', async (_name, make) => {
    const contactId = await make();
    const conversationId = await newConversation(server);
    const content = { text: 'Let me in!' };
    const refused = await command(server, sendMessage, { conversationId, content, contactId });
    expect(refused).toMatchObject({ __typename: 'NotFoundError', path: ['contactId'] });
    const read = `query ($id: ID!) { conversation(id: $id) { ${conversation} } }`;
    expect(await ask(server, read, { id: conversationId })).toMatchObject({
      conversation: { version: 1, messageCount: 0 },
    });

    const before = await server.services.prisma.conversation.count();
    const asSender = await command(server, createConversation, { message: { content, contactId } });
    expect(asSender).toMatchObject({ __typename: 'NotFoundError', path: ['message', 'contactId'] });
    const asOwner = await command(server, createConversation, { contactId, message: { content } });
    expect(asOwner).toMatchObject({ __typename: 'NotFoundError', path: ['contactId'] });
    expect(await server.services.prisma.conversation.count()).toBe(before);
  });

  async function foreignContact(): Promise<string> {
    const { organizationId } = await addTenant(server, 'immediate');
    return addContact(server.services, { organizationId });
  }
});

describe('the reply', () => {
  test('comes piece by piece or as one answer, and the text is the same', async () => {
    const input = { agentId: await addAgent(server.services, { runtime: 'scripted' }) };
    const story = '很久很久以前，有一隻 🦊。';

    const streaming = { ...input, message: { content: { text: 'Stream me a story.' } } };
    const started = await command(server, createConversation, streaming);
    expect(started.reply).toMatchObject({ status: 'IN_PROGRESS', text: '' });
    interface Piece {
      replyEvents: { __typename: string; offset: number; text: string };
    }
    const document = `subscription ($replyId: ID!) {
      replyEvents(replyId: $replyId) {
        __typename
        ... on FragmentDelta { offset text }
        ... on MessageCompleted { message { status text } }
      }
    }`;
    const pieces = record(subscribeSse<Piece>(server, document, { replyId: replyIdOf(started) }));
    const script = await scripted.replyTo('Stream me a story.');
    await script.begin('很久很久');
    await pieces.until((seen) => seen.some(({ replyEvents }) => replyEvents.__typename === 'FragmentDelta'));
    await script.write('以前，', '有一隻 🦊。');
    await script.end();
    const seen = (await pieces.ended()).map(({ replyEvents }) => replyEvents);
    const deltas = seen.filter(({ __typename }) => __typename === 'FragmentDelta');
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.reduce((text, delta) => text.slice(0, delta.offset) + delta.text, '')).toBe(story);
    expect(seen.at(-1)).toEqual({ __typename: 'MessageCompleted', message: { status: 'DONE', text: story } });

    const waiting = { ...input, message: { content: { text: 'Tell me a story.' } }, awaitReply: true };
    const answering = command(server, createConversation, waiting);
    const again = await scripted.replyTo('Tell me a story.');
    await again.begin('很久很久', '以前，', '有一隻 🦊。');
    await again.end();
    expect(await answering).toMatchObject({ reply: { status: 'DONE', text: story } });
  });

  test('cites the articles that it is made of', async () => {
    const article = {
      slug: 'returns',
      title: 'Returns',
      body: 'Shoes are returned within 30 days.',
      url: 'https://example.org/r',
    };
    const corpusId = await addCorpus(server.services, [article]);
    const knowing = await addAgent(server.services, { runtime: 'knowledge', corpusId: rowId('Corpus', corpusId) });
    const answered = await command(server, createConversation, {
      agentId: knowing,
      runtimeParameters: { wordsPerSecond: 0 },
      message: { content: { text: 'How are shoes returned?' } },
      awaitReply: true,
    });
    const read = 'query ($id: ID!) { message(id: $id) { fragments { __typename metadata } } }';
    expect(await ask(server, read, { id: replyIdOf(answered) })).toMatchObject({
      message: {
        fragments: [
          { __typename: 'FunctionCallFragment' },
          { __typename: 'FunctionResponseFragment' },
          { __typename: 'TextFragment', metadata: { citations: [{ title: 'Returns', url: 'https://example.org/r' }] } },
        ],
      },
    });
  });
});

describe('the list of conversations', () => {
  let tenant: Tenant;
  const owned = () => ({ organizationId: tenant.organizationId });

  // An organization for each test, so that whole lists can be compared.
  beforeEach(async () => {
    tenant = await addTenant(server, 'immediate');
  });

  test('tells of each its contact, inbox, title and last message', async () => {
    const contact = { displayName: '林小美', avatarUrl: 'https://example.org/lin.png' };
    const contactId = await addContact(server.services, { ...owned(), ...contact });
    const inboxId = await addInbox(server.services, { ...owned(), name: 'LINE', channel: 'OTHER' });
    const id = await newConversation(tenant, { contactId, inboxId, title: '退貨' }, 'One.', 'Two.');
    const last = await say(tenant, id, 'Three.');
    await command(tenant, sendControl, { conversationId: id, content: { text: 'Hidden.' } });
    expect((await listPage(tenant, {})).nodes).toEqual([
      {
        id,
        title: '退貨',
        status: 'ACTIVE',
        version: 5,
        messageCount: 3,
        contact: { id: contactId, ...contact },
        inbox: { id: inboxId, name: 'LINE', channel: 'OTHER' },
        lastMessage: { id: last.message.id, text: 'Three.' },
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
      },
    ]);
  });

  test('is read page by page with a cursor, and each is on one page', async () => {
    const made: string[] = [];
    for (let i = 0; i < 5; i += 1) made.push(await newConversation(tenant));
    const pages: string[][] = [];
    let after: string | null = null;
    do {
      const { nodes, pageInfo }: Page = await listPage(tenant, { first: 2, after });
      pages.push(nodes.map(({ id }) => id));
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
    } while (after !== null);
    expect(pages).toEqual([made.slice(0, 2), made.slice(2, 4), made.slice(4)]);
  });

  test('has pages of 50 unless told otherwise, and of 100 at most', async () => {
    const { prisma, newId } = server.services;
    const { defaultAgentId } = await prisma.organization.findUniqueOrThrow({ where: { id: tenant.organizationId } });
    const row = { ...owned(), agentId: defaultAgentId ?? '' };
    await prisma.conversation.createMany({ data: Array.from({ length: 101 }, () => ({ id: newId(), ...row })) });
    expect(await list(tenant, {})).toHaveLength(50);
    expect(await list(tenant, { first: 100 })).toHaveLength(100);
  });

  test.each([
    ['a page of none', { first: 0 }],
    ['a page of less than none', { last: -1 }],
    ['a page of more than 100', { first: 101 }],
    ['a page from both ends', { first: 1, last: 1 }],
    ['a cursor that is none', { first: 1, after: 'bm90aGluZw' }],
    ['half a surrogate pair as the keyword', { keyword: '\ud83e' }],
  ])('refuses %s', async (_name, variables) => {
    const query = `query ($first: Int, $last: Int, $after: String, $keyword: String) {
      conversations(first: $first, last: $last, after: $after, filter: { keyword: $keyword }) { nodes { id } }
    }`;
    expect(await graphql(tenant, query, variables)).toMatchObject({
      errors: [{ path: ['conversations'], extensions: { code: 'BAD_USER_INPUT' } }],
    });
  });

  test('shows those of one inbox, of one contact, of one agent', async () => {
    const [line, web] = [await addInbox(server.services, owned()), await addInbox(server.services, owned())];
    const [lin, chen] = [await addContact(server.services, owned()), await addContact(server.services, owned())];
    const robin = await addAgent(server.services, { ...owned(), runtime: 'immediate' });
    const ofLin = await newConversation(tenant, { inboxId: line, contactId: lin });
    const ofChen = await newConversation(tenant, { inboxId: line, contactId: chen, agentId: robin });
    const onTheWeb = await newConversation(tenant, { inboxId: web, contactId: lin });
    await newConversation(tenant);
    expect(await list(tenant, { filter: { inboxId: line } })).toEqual([ofLin, ofChen]);
    expect(await list(tenant, { filter: { contactId: lin } })).toEqual([ofLin, onTheWeb]);
    expect(await list(tenant, { filter: { agentId: robin } })).toEqual([ofChen]);
    expect(await list(tenant, { filter: { inboxId: line, contactId: lin } })).toEqual([ofLin]);
    expect(await list(tenant, { filter: { inboxId: web, agentId: robin } })).toEqual([]);
    for (const inboxId of ['nonsense', lin]) expect(await list(tenant, { filter: { inboxId } })).toEqual([]);
  });

  test('shows those of a status, and those that wait for a human', async () => {
    const mutate = (field: string, id: string, more = '') =>
      ask(tenant, `mutation ($id: ID!) { ${field}(input: { conversationId: $id ${more} }) { __typename } }`, { id });
    const [active, waiting, accepted, back, over] = [
      await newConversation(tenant),
      await newConversation(tenant),
      await newConversation(tenant),
      await newConversation(tenant),
      await newConversation(tenant),
    ];
    for (const id of [waiting, accepted, back, over]) await mutate('startHandoff', id);
    await mutate('acceptHandoff', accepted, 'assignee: "Grace"');
    await mutate('endHandoff', back);
    await mutate('endConversation', over);
    expect(await list(tenant, { filter: { status: ['ACTIVE'] } })).toEqual([active, back]);
    expect(await list(tenant, { filter: { status: ['HANDED_OFF'] } })).toEqual([waiting, accepted]);
    expect(await list(tenant, { filter: { status: ['ACTIVE', 'ENDED'] } })).toEqual([active, back, over]);
    expect(await list(tenant, { filter: { status: [] } })).toEqual([]);
    expect(await list(tenant, { filter: { handoffStatus: ['WAITING'] } })).toEqual([waiting]);
    expect(await list(tenant, { filter: { handoffStatus: ['WAITING', 'ACCEPTED'] } })).toEqual([waiting, accepted]);
  });

  test('shows those whose metadata contain an object', async () => {
    const first = await newConversation(tenant, {
      metadata: { plan: 'gold', tags: ['vip', 'shoes'], shop: { city: 'Taipei' } },
    });
    const second = await newConversation(tenant, { metadata: { plan: 'gold', shop: { city: 'Tainan', floor: 2 } } });
    const none = await newConversation(tenant);
    const found = (metadata: object) => list(tenant, { filter: { metadata } });
    expect(await found({ plan: 'gold' })).toEqual([first, second]);
    expect(await found({ shop: { city: 'Tainan' } })).toEqual([second]);
    expect(await found({ tags: ['vip'] })).toEqual([first]);
    expect(await found({ plan: 'GOLD' })).toEqual([]);
    expect(await found({})).toEqual([first, second, none]);
  });

  test('shows those of a time, its beginning included and its end not', async () => {
    const ids: string[] = [];
    for (const day of ['01', '02', '03']) {
      const id = await newConversation(tenant);
      const [createdAt, updatedAt] = [`2026-03-${day}T00:00:00.000Z`, `2026-04-${day}T00:00:00.000Z`];
      const where = { id: rowId('Conversation', id) };
      await server.services.prisma.conversation.update({ where, data: { createdAt, updatedAt } });
      ids.push(id);
    }
    const [first, second, third] = ids;
    const march = (day: string) => `2026-03-${day}T00:00:00.000Z`;
    expect(await list(tenant, { filter: { created: { from: march('01'), to: march('03') } } })).toEqual([
      first,
      second,
    ]);
    expect(await list(tenant, { filter: { created: { from: '2026-03-02T08:00:00.000+08:00' } } })).toEqual([
      second,
      third,
    ]);
    expect(await list(tenant, { filter: { created: { to: march('02') } } })).toEqual([first]);
    expect(await list(tenant, { filter: { created: { from: march('02'), to: march('02') } } })).toEqual([]);
    expect(await list(tenant, { filter: { updated: { from: '2026-04-03T00:00:00.000Z' } } })).toEqual([third]);
    expect(await list(tenant, { filter: { created: {} } })).toEqual(ids);
  });

  describe('by keyword', () => {
    test('finds what is said in the title or in a message of anybody', async () => {
      const titled = await newConversation(tenant, { title: 'A refund for shoes' }, 'Hello.');
      const asked = await newConversation(tenant, {}, 'Hello.', 'Where is my refund?');
      const answered = await newConversation(tenant, {}, 'Hello.');
      await command(tenant, addAgentMessage, {
        conversationId: answered,
        content: { text: 'Your refund is on its way.' },
      });
      await newConversation(tenant, { title: 'Hello' }, 'Nothing of the sort.');
      expect(await list(tenant, { keyword: 'refund' })).toEqual([titled, asked, answered]);
      expect(await list(tenant, { keyword: 'REFUND' })).toEqual([titled, asked, answered]);
      expect(await list(tenant, { keyword: 'shoes refund' })).toEqual([titled]);
      expect(await list(tenant, { keyword: 'refund giraffe' })).toEqual([]);
    });

    test('finds what the agent generated', async () => {
      const generated = await command(tenant, createConversation, {
        message: { content: { text: 'Hm?' } },
        awaitReply: true,
      });
      expect(generated.reply?.text).toMatch(/^Answer no/);
      expect(await list(tenant, { keyword: 'answer' })).toEqual([generated.conversation.id]);
    });

    test("never finds what is hidden or somebody else's", async () => {
      const conversationId = await newConversation(tenant, {}, 'Hello.');
      await command(tenant, sendControl, { conversationId, content: { text: 'The customer is a rhinoceros.' } });
      const neighbour = await addTenant(server, 'immediate');
      await newConversation(neighbour, { title: 'A rhinoceros' }, 'I saw a rhinoceros.');
      expect(await list(tenant, { keyword: 'rhinoceros' })).toEqual([]);
      expect(await list(tenant, { keyword: 'hello' })).toEqual([conversationId]);
    });

    test('goes together with filters and pages', async () => {
      const inboxId = await addInbox(server.services, owned());
      const first = await newConversation(tenant, { inboxId }, 'A parcel.');
      await newConversation(tenant, {}, 'A parcel.');
      await newConversation(tenant, { inboxId }, 'A letter.');
      const last = await newConversation(tenant, { inboxId }, 'Another parcel.');
      const variables = { keyword: 'parcel', filter: { inboxId }, first: 1 };
      const page = await listPage(tenant, variables);
      expect(page).toMatchObject({ nodes: [{ id: first }], pageInfo: { hasNextPage: true } });
      const next = await listPage(tenant, { ...variables, after: page.pageInfo.endCursor });
      expect(next).toMatchObject({ nodes: [{ id: last }], pageInfo: { hasNextPage: false } });
    });

    test.each([
      ['quotes around one', '"seven" degrees', 'It is seven degrees outside.'],
      ['an apostrophe in one', "l'hôtel", "Où est l'hôtel ?"],
      ['a hyphen in one', 'check-in', 'The check-in is at nine.'],
      ['a dash before one', 'refund -urgent', 'Labels: refund -urgent -shoes'],
      ['"or" between them', 'now or never', 'It is now or never.'],
      ['signs between them', "seven | ! & ( : * \\ ' degrees", 'It is seven degrees outside.'],
      ['the shape of an address', 'ada@example.org', 'Write to ada@example.org, please.'],
    ])('takes words for words, with %s', async (_name, keyword, text) => {
      await newConversation(tenant, {}, 'A refund, and it is now, outside, at seven.');
      const found = await newConversation(tenant, {}, text);
      expect(await list(tenant, { keyword })).toEqual([found]);
    });

    test('finds words of a language that puts no spaces between them', async () => {
      const found = await newConversation(tenant, {}, '我想要退款，謝謝。');
      const titled = await newConversation(tenant, { title: '鞋子的退款問題' });
      await newConversation(tenant, { title: '鞋子' }, '請問有大一號的嗎？');
      expect(await list(tenant, { keyword: '退款' })).toEqual([found, titled]);
    });
  });
});

describe('the messages of a conversation', () => {
  test('are read page by page with a cursor, and one by one', async () => {
    const conversationId = await newConversation(server, {}, 'One.', 'Two.', 'Three.');
    const query = `query ($id: ID!, $after: String) {
      conversation(id: $id) {
        messages(first: 2, after: $after) { nodes { ${message} } pageInfo { endCursor hasNextPage } }
      }
    }`;
    interface Messages {
      conversation: { messages: Page };
    }
    const first = await ask<Messages>(server, query, { id: conversationId });
    const { nodes, pageInfo } = first.conversation.messages;
    expect(nodes).toMatchObject([{ text: 'One.' }, { text: 'Two.' }]);
    expect(pageInfo.hasNextPage).toBe(true);
    const next = await ask<Messages>(server, query, { id: conversationId, after: pageInfo.endCursor });
    expect(next.conversation.messages).toMatchObject({ nodes: [{ text: 'Three.' }], pageInfo: { hasNextPage: false } });

    const one = await ask(server, `query ($id: ID!) { message(id: $id) { ${message} } }`, { id: nodes[1]?.id });
    expect(one).toEqual({ message: nodes[1] });
  });

  test("of somebody else are nobody's to read", async () => {
    const tenant = await addTenant(server, 'immediate');
    const conversationId = await newConversation(tenant);
    const { message: theirs } = await say(tenant, conversationId, 'Private.');
    const query = 'query ($id: ID!, $message: ID!) { conversation(id: $id) { id } message(id: $message) { id } }';
    const ids = { id: conversationId, message: theirs.id };
    expect(await ask(server, query, ids)).toEqual({ conversation: null, message: null });
    expect(await ask(tenant, query, ids)).toEqual({ conversation: { id: ids.id }, message: { id: ids.message } });
  });
});
