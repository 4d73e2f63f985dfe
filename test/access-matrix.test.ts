import { getNamedType, isInterfaceType, isLeafType, isObjectType, isUnionType } from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { beginning, encodeEventPosition } from '../src/conversations/log/tail.ts';
import { encodeCursor } from '../src/conversations/stream/cursor.ts';
import { clientGrants } from '../src/access/viewer.ts';
import { schema } from '../src/graphql/schema.ts';
import { decodeId, encodeId } from '../src/ids.ts';
import { keepUnanswered } from '../src/knowledge/unanswered.ts';
import {
  addContact,
  addKey,
  addOperator,
  addOrganization,
  firstOrganization,
  mintToken,
  type Organization,
} from './harness/access.ts';
import { ask, graphql, RefusedError, type Result, subscribeSse, subscribeWs } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { useServer } from './harness/server.ts';
import { addWebChat } from './harness/visits.ts';

const server = useServer({
  config: { visitLimitPerAddress: 0, rateLimitPerContact: 0, rateLimitPerKey: 0, maxConnectionsPerViewer: 1000 },
});

/** What an operation is asked with: things of the first organization. */
interface Things {
  conversation: string;
  message: string;
  reply: string;
  after: string;
  contact: string;
  /** Nobody has said who it is. */
  visitor: string;
  agent: string;
  inbox: string;
  inboxKey: string;
  corpus: string;
  article: string;
  job: string;
  unanswered: string;
  key: string;
  operator: string;
  /** Switched off. */
  webhook: string;
  delivery: string;
  /** With an address. */
  emailInbox: string;
  /** One that became a message. */
  letter: string;
}

/** Nobody of these gets through the door, whatever they ask for. */
const unknown = [
  'anonymous',
  'wrong key',
  'revoked key',
  'expired key',
  'token of a revoked key',
  'suspended operator',
  'operator of a revoked key',
] as const;
/** In the order of the table. `owner` and `guest` hold client tokens, of the person and of the one conversation. */
const known = ['operator', 'reader', 'writer', 'owner', 'guest', 'stranger', 'foreigner'] as const;
/** Operators of the first organization, with tokens of their own. */
const people = ['agent', 'admin'] as const;
type Who = (typeof unknown)[number] | (typeof known)[number] | (typeof people)[number];

const ok = 'allowed';
const no = 'FORBIDDEN';
const none = 'null';
const missing = 'NotFoundError';

/** What each of `known` gets. `only` is for operators; the ids of another organization name nothing. */
const everybody = [ok, ok, ok, ok, ok, ok, ok];
const only = {
  reads: [ok, ok, no, no, no, no, none],
  readsOwn: [ok, ok, no, no, no, no, ok],
  changes: [ok, no, ok, no, no, no, missing],
  changesOwn: [ok, no, ok, no, no, no, ok],
  /** For keys that may read and write, or manage keys. */
  grants: [ok, no, no, no, no, no, missing],
  grantsOwn: [ok, no, no, no, no, no, ok],
};
const participants = { read: [ok, ok, no, ok, ok, none, none], act: [ok, no, ok, ok, ok, missing, missing] };
const followers = [ok, ok, no, ok, ok, 'NOT_FOUND', 'NOT_FOUND'];

/** What operators get, where it is not what their role says. */
type OfPeople = Partial<Record<(typeof people)[number], string>>;

type Row = [operation: (things: Things) => string, outcomes: string[], ofPeople?: OfPeople];

const q = JSON.stringify;
const query = (fields: (things: Things) => string, outcomes: string[]): Row => [(t) => `{ ${fields(t)} }`, outcomes];
const mutation = (name: string, input: (things: Things) => string, outcomes: string[], ofPeople?: OfPeople): Row => [
  (t) => `mutation { result: ${name}(input: { ${input(t)} }) { __typename } }`,
  outcomes,
  ofPeople,
];
const subscription = (fields: (things: Things) => string, outcomes: string[]): Row => [
  (t) => `subscription { result: ${fields(t)} }`,
  outcomes,
];

/** What an operator of the role AGENT may do beside reading. An ADMIN may do what a key of all scopes may. */
const ofAgents = [
  'Mutation.addAgentMessage',
  'Mutation.addNote',
  'Mutation.createAttachment',
  'Mutation.endConversation',
  'Mutation.endHandoff',
  'Mutation.markRead',
  'Mutation.rateReply',
  'Mutation.regenerateReply',
  'Mutation.setAvailability',
  'Mutation.setTyping',
  'Mutation.startEmailConversation',
  'Mutation.startHandoff',
  'Mutation.stopReply',
  'Mutation.takeOver',
  'Mutation.transferHandoff',
  'Mutation.updateConversation',
];

/** What operators get: by their role, or as the row says. */
function outcomesOfPeople(name: string, [, [ofKey = '', ofReader], ofPeople]: Row) {
  const isForAgents = ofReader !== no || ofAgents.includes(name);
  return { admin: ofKey, agent: isForAgents ? ofKey : no, ...ofPeople };
}

/** For operators alone. */
const themselves: [string[], OfPeople] = [[no, no, no, no, no, no, no], { admin: ok, agent: ok }];

const table: Record<string, Row> = {
  'Query.agent': query((t) => `result: agent(id: ${q(t.agent)}) { id }`, only.reads),
  'Query.agents': query(() => 'result: agents { nodes { id } }', only.readsOwn),
  'Query.apiKeys': query(() => 'result: apiKeys { nodes { id } }', only.grantsOwn),
  'Query.contact': query((t) => `result: contact(ref: { id: ${q(t.contact)} }) { id }`, only.reads),
  'Query.contacts': query(() => 'result: contacts { nodes { id } }', only.readsOwn),
  'Query.conversation': query((t) => `result: conversation(id: ${q(t.conversation)}) { id }`, participants.read),
  'Query.conversationCount': query(() => 'result: conversationCount', [ok, ok, no, ok, ok, ok, ok]),
  'Query.conversations': query(() => 'result: conversations { nodes { id } }', [ok, ok, no, ok, ok, ok, ok]),
  'Query.corpora': query(() => 'result: corpora { nodes { id } }', [ok, ok, no, no, no, no, 'empty']),
  'Query.corpus': query((t) => `result: corpus(id: ${q(t.corpus)}) { id }`, only.reads),
  'Query.inbox': query((t) => `result: inbox(id: ${q(t.inbox)}) { id }`, participants.read),
  'Query.inboxes': query(() => 'result: inboxes { nodes { id } }', [ok, ok, no, no, no, no, 'empty']),
  'Query.letters': query(() => 'result: letters { nodes { id } }', [ok, ok, no, no, no, no, 'empty']),
  'Query.message': query((t) => `result: message(id: ${q(t.message)}) { id }`, participants.read),
  'Query.node': query((t) => `result: node(id: ${q(t.message)}) { id }`, participants.read),
  'Query.nodes': query(
    (t) => `result: nodes(ids: [${q(t.conversation)}, ${q(t.reply)}]) { id }`,
    [ok, ok, no, ok, ok, 'empty', 'empty'],
  ),
  'Query.organization': query(() => 'result: organization { id }', only.readsOwn),
  'Query.organizationEvents': query(
    () => 'result: organizationEvents { nodes { event { conversationId } } }',
    only.grantsOwn,
  ),
  'Query.records': query(
    () => 'result: records(filter: { startDate: "2026-01-01", endDate: "2026-12-31" }) { nodes { askedAt } }',
    [ok, ok, no, no, no, no, 'empty'],
  ),
  'Query.operator': query((t) => `result: operator(id: ${q(t.operator)}) { id }`, only.reads),
  'Query.operators': query(() => 'result: operators { nodes { id } }', [ok, ok, no, no, no, no, 'empty']),
  'Query.searchKnowledge': query(
    (t) => `result: searchKnowledge(corpusId: ${q(t.corpus)}, query: "conversation") { __typename }`,
    only.reads,
  ),
  'Query.unansweredQuestions': query(
    () => 'result: unansweredQuestions { nodes { id } }',
    [ok, ok, no, no, no, no, 'empty'],
  ),
  'Query.viewer': query(() => 'result: viewer { kind scopes }', everybody),
  'Query.webhook': query((t) => `result: webhook(id: ${q(t.webhook)}) { id }`, [ok, no, no, no, no, no, none]),
  'Query.webhooks': query(() => 'result: webhooks { nodes { id } }', [ok, no, no, no, no, no, 'empty']),

  'Mutation.acceptHandoff': mutation('acceptHandoff', (t) => `conversationId: ${q(t.conversation)}, assignee: "Kim"`, [
    'NotHandedOffError',
    no,
    'NotHandedOffError',
    no,
    no,
    no,
    missing,
  ]),
  'Mutation.addAgentMessage': mutation(
    'addAgentMessage',
    (t) => `conversationId: ${q(t.conversation)}, content: { text: "Hello" }`,
    only.changes,
    { admin: 'NotHandedOffError', agent: 'NotHandedOffError' },
  ),
  'Mutation.addNote': mutation(
    'addNote',
    (t) => `conversationId: ${q(t.conversation)}, content: { text: "They call twice a week." }`,
    only.changes,
  ),
  'Mutation.answerWithArticle': mutation(
    'answerWithArticle',
    (t) => `articleId: ${q(t.article)}, unansweredQuestionIds: [${q(t.unanswered)}]`,
    only.changes,
  ),
  'Mutation.blockContact': mutation('blockContact', (t) => `contactId: ${q(t.visitor)}`, only.changes),
  'Mutation.cancelJob': mutation('cancelJob', (t) => `jobId: ${q(t.job)}`, only.changes),
  'Mutation.changeState': mutation(
    'changeState',
    (t) => `conversationId: ${q(t.conversation)}, stateAfter: { systemMessage: "Be kind." }`,
    only.changes,
  ),
  'Mutation.createAgent': mutation('createAgent', (t) => `name: "Eve", corpusId: ${q(t.corpus)}`, only.changes),
  'Mutation.createApiKey': mutation(
    'createApiKey',
    () => `name: "More", expiresAt: ${q(new Date(Date.now() + 60_000))}`,
    only.grantsOwn,
  ),
  'Mutation.createAttachment': mutation('createAttachment', () => 'filename: "a.png", bytes: 1', only.changesOwn),
  'Mutation.createClientToken': mutation(
    'createClientToken',
    (t) => `for: { contactId: ${q(t.contact)} }`,
    only.grants,
  ),
  'Mutation.createContact': mutation('createContact', () => 'displayName: "Robin"', only.changesOwn),
  'Mutation.createConversation': mutation(
    'createConversation',
    (t) => `contactId: ${q(t.contact)}, action: NONE`,
    only.changes,
  ),
  'Mutation.createCorpus': mutation('createCorpus', () => 'name: "Facts"', only.changesOwn),
  'Mutation.createInbox': mutation(
    'createInbox',
    (t) => `name: "Chat", channel: WEB_CHAT, agentId: ${q(t.agent)}`,
    only.grants,
  ),
  'Mutation.createOperator': mutation('createOperator', () => 'name: "Kim"', only.grantsOwn),
  'Mutation.createOperatorToken': mutation('createOperatorToken', (t) => `operatorId: ${q(t.operator)}`, only.grants),
  'Mutation.createWebhook': mutation('createWebhook', () => 'url: "https://example.com/hook"', only.grantsOwn),
  'Mutation.deleteAgent': mutation('deleteAgent', (t) => `agentId: ${q(t.agent)}`, [
    'AgentInUseError',
    no,
    'AgentInUseError',
    no,
    no,
    no,
    missing,
  ]),
  'Mutation.deleteArticle': mutation('deleteArticle', (t) => `articleId: ${q(t.article)}`, only.changes),
  'Mutation.deleteConversation': mutation(
    'deleteConversation',
    (t) => `conversationId: ${q(t.conversation)}`,
    only.changes,
  ),
  'Mutation.deleteCorpus': mutation('deleteCorpus', (t) => `corpusId: ${q(t.corpus)}`, only.changes),
  'Mutation.deleteInbox': mutation('deleteInbox', (t) => `inboxId: ${q(t.inbox)}`, only.changes),
  'Mutation.deleteWebhook': mutation('deleteWebhook', (t) => `webhookId: ${q(t.webhook)}`, only.grants),
  'Mutation.endConversation': mutation(
    'endConversation',
    (t) => `conversationId: ${q(t.conversation)}`,
    participants.act,
  ),
  'Mutation.endHandoff': mutation('endHandoff', (t) => `conversationId: ${q(t.conversation)}`, [
    'NotHandedOffError',
    no,
    'NotHandedOffError',
    no,
    no,
    no,
    missing,
  ]),
  'Mutation.markRead': mutation(
    'markRead',
    (t) => `conversationId: ${q(t.conversation)}, position: 0`,
    [no, no, no, ok, ok, missing, no],
    { admin: ok, agent: ok },
  ),
  'Mutation.mergeContacts': mutation(
    'mergeContacts',
    (t) => `contactId: ${q(t.visitor)}, intoContactId: ${q(t.contact)}`,
    only.changes,
  ),
  'Mutation.eraseContacts': mutation('eraseContacts', () => 'contacts: [{ externalId: "nobody" }]', only.grantsOwn),
  'Mutation.rateReply': mutation('rateReply', (t) => `replyId: ${q(t.reply)}, rating: UP`, only.changes),
  'Mutation.reinstateOperator': mutation('reinstateOperator', (t) => `operatorId: ${q(t.operator)}`, only.grants),
  'Mutation.regenerateReply': mutation(
    'regenerateReply',
    (t) => `replyId: ${q(t.reply)}, awaitReply: true`,
    only.changes,
  ),
  'Mutation.replayWebhook': mutation(
    'replayWebhook',
    (t) => `webhookId: ${q(t.webhook)}, from: { time: "2026-01-01T00:00:00Z" }`,
    only.grants,
  ),
  'Mutation.retryDelivery': mutation('retryDelivery', (t) => `deliveryId: ${q(t.delivery)}`, only.grants),
  'Mutation.retryLetter': mutation('retryLetter', (t) => `letterId: ${q(t.letter)}`, [
    'InvalidInputError',
    no,
    no,
    no,
    no,
    no,
    missing,
  ]),
  'Mutation.revokeApiKey': mutation('revokeApiKey', (t) => `apiKeyId: ${q(t.key)}`, only.grants),
  'Mutation.rotateInboxSecret': mutation('rotateInboxSecret', (t) => `inboxId: ${q(t.inbox)}`, only.grants),
  'Mutation.rotateWebhookSecret': mutation('rotateWebhookSecret', (t) => `webhookId: ${q(t.webhook)}`, only.grants),
  'Mutation.sendControl': mutation(
    'sendControl',
    (t) => `conversationId: ${q(t.conversation)}, content: { text: "Psst" }`,
    only.changes,
  ),
  'Mutation.sendMessage': mutation(
    'sendMessage',
    (t) => `conversationId: ${q(t.conversation)}, content: { text: "Hi" }, action: NONE`,
    participants.act,
  ),
  'Mutation.setTyping': mutation(
    'setTyping',
    (t) => `conversationId: ${q(t.conversation)}, typing: true`,
    ['InvalidInputError', no, 'InvalidInputError', ok, ok, missing, 'InvalidInputError'],
    { admin: ok, agent: ok },
  ),
  'Mutation.startEmailConversation': mutation(
    'startEmailConversation',
    (t) => `inboxId: ${q(t.emailInbox)}, to: { address: "robin@example.com" }, subject: "Hi", text: "Hello"`,
    only.changes,
  ),
  'Mutation.startExport': mutation('startExport', () => 'kind: EVENTS, format: CSV', only.grantsOwn),
  'Mutation.setAvailability': mutation('setAvailability', () => 'availability: ONLINE', ...themselves),
  'Mutation.startHandoff': mutation('startHandoff', (t) => `conversationId: ${q(t.conversation)}`, only.changes),
  'Mutation.startVisit': mutation('startVisit', (t) => `inboxKey: ${q(t.inboxKey)}`, everybody),
  'Mutation.stopReply': mutation('stopReply', (t) => `replyId: ${q(t.reply)}`, participants.act),
  'Mutation.suspendOperator': mutation('suspendOperator', (t) => `operatorId: ${q(t.operator)}`, only.grants),
  'Mutation.takeOver': mutation('takeOver', (t) => `conversationId: ${q(t.conversation)}`, ...themselves),
  'Mutation.transferHandoff': mutation(
    'transferHandoff',
    (t) => `conversationId: ${q(t.conversation)}, to: { queue: "billing" }`,
    ['NotHandedOffError', no, 'NotHandedOffError', no, no, no, missing],
  ),
  'Mutation.testWebhook': mutation('testWebhook', (t) => `webhookId: ${q(t.webhook)}`, [
    'InvalidInputError',
    no,
    no,
    no,
    no,
    no,
    missing,
  ]),
  'Mutation.unblockContact': mutation('unblockContact', (t) => `contactId: ${q(t.visitor)}`, only.changes),
  'Mutation.updateAgent': mutation('updateAgent', (t) => `agentId: ${q(t.agent)}, greeting: "Hello"`, only.changes),
  'Mutation.updateContact': mutation('updateContact', (t) => `contactId: ${q(t.visitor)}, email: null`, only.changes),
  'Mutation.updateOrganization': mutation('updateOrganization', () => 'timeZone: "Europe/Berlin"', only.grantsOwn),
  'Mutation.updateConversation': mutation(
    'updateConversation',
    (t) => `conversationId: ${q(t.conversation)}, title: "Title"`,
    only.changes,
  ),
  'Mutation.updateInbox': mutation('updateInbox', (t) => `inboxId: ${q(t.inbox)}, awayMessage: "Later"`, only.changes),
  'Mutation.updateOperator': mutation(
    'updateOperator',
    (t) => `operatorId: ${q(t.operator)}, name: "Alex"`,
    only.grants,
  ),
  'Mutation.updateWebhook': mutation('updateWebhook', (t) => `webhookId: ${q(t.webhook)}, status: OFF`, only.grants),
  'Mutation.upsertArticle': mutation(
    'upsertArticle',
    (t) => `corpusId: ${q(t.corpus)}, slug: "a", title: "A", body: "An article."`,
    only.changes,
  ),

  'Mutation.upsertContact': mutation('upsertContact', () => 'externalId: "robin"', only.changesOwn),

  'Subscription.conversationChanges': subscription(
    () => 'conversationChanges { kind cursor }',
    [ok, ok, no, ok, ok, ok, ok],
  ),
  'Subscription.conversationEvents': subscription(
    (t) => `conversationEvents(conversationId: ${q(t.conversation)}, after: ${q(t.after)}) { conversationId }`,
    followers,
  ),
  'Subscription.conversationPresence': subscription(
    (t) => `conversationPresence(conversationId: ${q(t.conversation)}) { conversationId }`,
    followers,
  ),
  'Subscription.jobProgress': subscription(
    (t) => `jobProgress(id: ${q(t.job)}) { id }`,
    [ok, ok, no, no, no, no, 'NOT_FOUND'],
  ),
  'Subscription.organizationEvents': subscription(
    () => `organizationEvents(after: ${q(encodeEventPosition(beginning))}) { event { conversationId } }`,
    only.grantsOwn,
  ),
  'Subscription.replyEvents': subscription((t) => `replyEvents(replyId: ${q(t.reply)}) { conversationId }`, followers),
};

const rootFields = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
  Object.values(type?.getFields() ?? {}).map((field) => ({ name: `${type?.name ?? ''}.${field.name}`, field })),
);

describe('every root field', () => {
  test('is in the table of this file', () => {
    expect(Object.keys(table).sort()).toEqual(rootFields.map(({ name }) => name).sort());
  });

  test.each(rootFields)('$name declares who may use it, and says so', ({ field }) => {
    const scopes = scopesOf(field.extensions);
    expect(Object.values(scopes)).toContain(true);
    const said = field.description?.split('\n\nFor ').at(-1) ?? '';
    if ('visit' in scopes) expect(said).toContain('requests over HTTP without a credential');
    const ofKeys = said.split(', and for ').find((part) => part.startsWith('API keys')) ?? '';
    const scopesOfKeys = ['read', 'write', 'admin'];
    for (const scope of scopesOfKeys) expect(ofKeys.includes(`\`${scope.toUpperCase()}\``)).toBe(scope in scopes);
    const grants = Object.keys(scopes).some((scope) => ['participate', ...clientGrants].includes(scope));
    expect(said.includes('client tokens')).toBe(grants);
    expect(said.includes('operators')).toBe('answer' in scopes || scopesOfKeys.some((scope) => scope in scopes));
  });
});

test('FORBIDDEN says which credentials would do', async () => {
  const refusals = async (who: Who) => {
    const operation = `mutation {
      changeState(input: { conversationId: "conv_", stateAfter: {} }) { __typename }
      createClientToken(input: { for: { contactId: "contact_" } }) { __typename }
      createApiKey(input: { name: "Mine" }) { __typename }
    }`;
    const { errors = [] } = await graphql(server, operation, {}, { key: who === 'guest' ? null : credentials[who] });
    return errors.map(({ message }) => message.replace(/.*: it is for /, ''));
  };
  const needed = [
    'API keys with the scope `WRITE`, and for operators with the role `ADMIN`.',
    'API keys with the scope `READ` and the scope `WRITE`, and for operators with the role `ADMIN`.',
    'API keys with the scope `ADMIN`, and for operators with the role `ADMIN`.',
  ];
  expect(await refusals('reader')).toEqual(needed);
  expect(await refusals('owner')).toEqual(needed);
  expect(await refusals('agent')).toEqual(needed);
  expect(await refusals('admin')).toEqual([]);
  expect(await refusals('operator')).toEqual([]);
});

/** What Pothos keeps of `authScopes`. */
function scopesOf({ pothosOptions }: Readonly<Record<string, unknown>>): object {
  const { authScopes } = Object(pothosOptions) as { authScopes?: unknown };
  const { $all: scopes = authScopes } = Object(authScopes) as { $all?: unknown };
  return typeof scopes === 'object' && scopes !== null ? scopes : {};
}

let credentials: Record<Exclude<Who, 'guest'>, string | null>;
let organization: string;
let contact: string;
let foreign: Organization;

beforeAll(async () => {
  const { services } = server;
  const organizationId = await firstOrganization(services);
  organization = organizationId;
  contact = await addContact(services, organizationId);
  foreign = await addOrganization(services);
  await createConversation({ url: server.url, key: foreign.key }, { action: 'NONE' });
  const stranger = await addContact(services, organizationId);
  await createConversation(server, { contactId: stranger, action: 'NONE' });
  const revoked = await addKey(services, { organizationId });
  const expired = await addKey(services, { organizationId, expiresAt: new Date(Date.now() - 1) });
  const tokenOfRevoked = await mintToken({ url: server.url, key: revoked.secret }, { contactId: contact });
  const suspended = await addOperator(server);
  await ask(server, `mutation { suspendOperator(input: { operatorId: "${suspended.id}" }) { __typename } }`);
  const ofRevoked = await addOperator({ url: server.url, key: revoked.secret }, { role: 'ADMIN' });
  await ask(server, `mutation { revokeApiKey(input: { apiKeyId: "${revoked.id}" }) { __typename } }`);
  credentials = {
    anonymous: null,
    'wrong key': 'parley_wrong',
    'revoked key': revoked.secret,
    'expired key': expired.secret,
    'token of a revoked key': tokenOfRevoked,
    'suspended operator': suspended.key,
    'operator of a revoked key': ofRevoked.key,
    operator: server.key,
    agent: (await addOperator(server)).key,
    admin: (await addOperator(server, { role: 'ADMIN' })).key,
    reader: (await addKey(services, { organizationId, scopes: ['read'] })).secret,
    writer: (await addKey(services, { organizationId, scopes: ['write'] })).secret,
    owner: await mintToken(server, { contactId: contact }),
    stranger: await mintToken(server, { contactId: stranger }),
    foreigner: foreign.key,
  };
});

/** Who makes each thing, some of them together. */
const makers: Record<keyof Things, () => Promise<Partial<Things>>> = {
  conversation: makeConversation,
  message: makeConversation,
  reply: makeConversation,
  after: makeConversation,
  agent: makeConversation,
  inbox: makeConversation,
  inboxKey: makeConversation,
  contact: () => Promise.resolve({ contact }),
  visitor: async () => ({ visitor: await addContact(server.services, organization, { anonymous: true }) }),
  corpus: makeCorpus,
  article: makeCorpus,
  unanswered: makeCorpus,
  job: makeJob,
  key: async () => ({ key: (await addKey(server.services, { organizationId: organization })).id }),
  operator: async () => ({ operator: (await addOperator(server)).id }),
  webhook: makeWebhook,
  delivery: makeWebhook,
  emailInbox: makeLetter,
  letter: makeLetter,
};

const allNames = Object.keys(makers) as (keyof Things)[];
/** Stand for things that an operation does not name. */
const marks = Object.fromEntries(allNames.map((name) => [name, `<${name}>`])) as unknown as Things;

/** The things that an operation is asked with. */
function namedIn(operation: (things: Things) => string): (keyof Things)[] {
  const text = operation(marks);
  return allNames.filter((name) => text.includes(marks[name]));
}

/** Things that nobody has changed yet, at least those of these names. */
async function makeThings(names: readonly (keyof Things)[]): Promise<Things> {
  let things = marks;
  for (const make of new Set(names.map((name) => makers[name]))) things = { ...things, ...(await make()) };
  return things;
}

/** A conversation with a reply. */
async function makeConversation(): Promise<Partial<Things>> {
  const { prisma, newId } = server.services;
  const agentId = newId();
  await prisma.agent.create({ data: { id: agentId, organizationId: organization, name: 'Ada', runtime: 'knowledge' } });
  const agent = encodeId('Agent', agentId);
  const { id: inbox, publicKey: inboxKey } = await addWebChat(server);
  const { conversation } = await createConversation(server, {
    contactId: contact,
    agentId: agent,
    inboxId: inbox,
    action: 'NONE',
  });
  const { id } = conversation;
  const { message, reply } = await send(server, {
    conversationId: id,
    content: { text: 'Hello' },
    runtimeParameters: { wordsPerSecond: 0 },
    awaitReply: true,
  });
  const after = encodeCursor(decodeId('Conversation', id) ?? '', { version: 0, running: null });
  return { conversation: id, message: message.id, reply: reply?.id ?? '', after, agent, inbox, inboxKey };
}

/** A corpus with an article, and a question that it left unanswered. */
async function makeCorpus(): Promise<Partial<Things>> {
  const { prisma, pool, newId } = server.services;
  const corpusId = newId();
  await prisma.corpus.create({ data: { id: corpusId, organizationId: organization, name: 'Facts' } });
  const corpus = encodeId('Corpus', corpusId);
  const { upserted } = await ask<{ upserted: { article: { id: string } } }>(
    server,
    `mutation {
      upserted: upsertArticle(input: { corpusId: "${corpus}", slug: "one", title: "One", body: "One conversation." }) {
        ... on UpsertArticlePayload { article { id } }
      }
    }`,
  );
  const text = `Where is ${newId()}?`;
  await keepUnanswered({ pool, newId }, { corpusId, text });
  const unanswered = await prisma.unansweredQuestion.findFirst({ where: { corpusId, text } });
  return {
    corpus,
    article: upserted.article.id,
    unanswered: encodeId('UnansweredQuestion', unanswered?.id ?? ''),
  };
}

async function makeJob(): Promise<Partial<Things>> {
  const job = server.services.newId();
  await server.services.pool.query(
    `INSERT INTO job (id, organization_id, kind, input, secret, status)
      VALUES ($1, $2, 'EXPORT', '{"kind": "EVENTS", "format": "CSV"}', '', 'DONE')`,
    [job, organization],
  );
  return { job: encodeId('Export', job) };
}

/** An email inbox, and a letter to it that is dealt with. */
async function makeLetter(): Promise<Partial<Things>> {
  const { prisma, newId } = server.services;
  const organizationId = organization;
  const [inboxId, id] = [newId(), newId()];
  const address = `help-${inboxId.slice(-12)}@shop.example`;
  await prisma.inbox.create({ data: { id: inboxId, organizationId, name: 'Help', channel: 'EMAIL', address } });
  await prisma.letter.create({ data: { id, organizationId, inboxId, direction: 'IN', status: 'DONE', key: id } });
  return { emailInbox: encodeId('Inbox', inboxId), letter: encodeId('Letter', id) };
}

/** A webhook that is switched off, and one of its deliveries. */
async function makeWebhook(): Promise<Partial<Things>> {
  const { prisma, newId } = server.services;
  const organizationId = organization;
  const [id, deliveryId] = [newId(), newId()];
  const webhook = { id, organizationId, url: 'https://example.com/hook', selection: '{ __typename }' };
  await prisma.webhook.create({ data: { ...webhook, status: 'OFF' } });
  await prisma.webhookLane.create({ data: { webhookId: id, organizationId, lane: 0 } });
  const delivery = { id: deliveryId, webhookId: id, organizationId, lane: 0, event: 'ConversationCreated' };
  await prisma.webhookDelivery.create({ data: delivery });
  return { webhook: encodeId('Webhook', id), delivery: encodeId('WebhookDelivery', deliveryId) };
}

type Transport = (operation: string, key: string | null) => Promise<unknown>;

interface Answer {
  result: unknown;
}

const statuses: Record<string, number> = { UNAUTHENTICATED: 401, TOKEN_EXPIRED: 401, FORBIDDEN: 403 };

/** The answer by HTTP, whose status says the same. */
async function byHttp(operation: string, key: string | null): Promise<unknown> {
  const { status, ...answer } = await graphql<Answer>(server, operation, {}, { key });
  const outcome = outcomeOf(answer);
  expect([outcome, status]).toEqual([outcome, statuses[outcome] ?? 200]);
  return answer;
}

/** What the closing of a socket says. */
const closings = new Map<unknown, string>([
  [4401, 'UNAUTHENTICATED'],
  [4440, 'TOKEN_EXPIRED'],
]);

/** The first answer of a stream. A socket's closing is an answer too. */
const byStream =
  (subscribe: typeof subscribeWs): Transport =>
  async (operation, key) => {
    const stream = subscribe<Answer>(server, operation, {}, { key });
    try {
      const { value } = await stream.next();
      return { data: value };
    } catch (error) {
      if (error instanceof RefusedError) return { errors: error.errors };
      const code = error instanceof Object && 'code' in error && closings.get(error.code);
      if (code) return { errors: [{ extensions: { code } }] };
      throw error;
    } finally {
      await stream.return();
    }
  };

const transports: [string, Transport][] = [
  ['HTTP', byHttp],
  ['WebSocket', byStream(subscribeWs)],
  ['SSE', byStream(subscribeSse)],
];

function outcomeOf({ data, errors }: Result<Answer>): string {
  if (errors) return String(errors[0]?.extensions?.code);
  const { result } = data ?? { result: undefined };
  if (result === null) return none;
  const { __typename: typename, nodes = result } = Object(result) as { __typename?: string; nodes?: unknown };
  if (typename?.endsWith('Error')) return typename;
  return Array.isArray(nodes) && nodes.every((node) => node === null) ? 'empty' : ok;
}

/** The one field that needs no credential. */
const withoutCredential = 'Mutation.startVisit';

/** What can be done to a thing once only. */
const once = /^Mutation\.(answerWithArticle|delete|endConversation|merge|regenerate|startHandoff|takeOver)/;

/** What is tried over streams besides subscriptions: there it takes the same way once its sender is known. */
const sample = [
  'Query.apiKeys',
  'Query.conversation',
  'Query.nodes',
  'Mutation.deleteConversation',
  'Mutation.sendMessage',
];

describe.each(transports)('over %s', (transport, perform) => {
  const rows = Object.entries(table).filter(([name]) =>
    transport === 'HTTP' ? !name.startsWith('Subscription') : name.startsWith('Subscription') || sample.includes(name),
  );

  // What only reads leaves them as they are for the next, and what names nothing of a conversation leaves that.
  let unchanged: Promise<Things> | undefined;
  let bystander: Promise<Partial<Things>> | undefined;
  const makeForMutation = async (names: readonly (keyof Things)[]): Promise<Things> =>
    names.some((name) => makers[name] === makeConversation)
      ? makeThings(['conversation', ...names])
      : { ...(await makeThings(names)), ...(await (bystander ??= makeConversation())) };

  test.each(rows)('%s', async (name, row) => {
    const [operation, outcomes] = row;
    const changes = name.startsWith('Mutation');
    const names = namedIn(operation);
    const things = await (changes ? makeForMutation(names) : (unchanged ??= makeThings(allNames)));
    const guest = await mintToken(server, { conversationId: things.conversation });
    const attempt = async (who: Who): Promise<string> => {
      const isOne = who === 'admin' || who === 'agent';
      const own = (who === 'writer' || isOne) && once.test(name) ? await makeThings(names) : things;
      const answer = await perform(operation(own), who === 'guest' ? guest : credentials[who]);
      const { data, errors } = answer as Result<Answer>;
      // Nothing of the first organization's is in an answer to those whose it is not.
      if (who === 'stranger' || who === 'foreigner')
        expect(JSON.stringify(data ?? null)).not.toContain(things.conversation);
      return outcomeOf({ ...(data !== undefined && { data }), ...(errors && { errors }) });
    };
    const seen: Record<string, string> = {};
    const see = async (who: Who) => {
      seen[who] = await attempt(who);
    };
    await Promise.all(unknown.map(see));
    if (!changes) await Promise.all([...people, ...known].map(see));
    // The operator comes last, who may have the thing deleted.
    else for (const who of [...people, ...[...known].reverse()]) await see(who);
    expect(seen).toEqual({
      ...Object.fromEntries(unknown.map((who) => [who, 'UNAUTHENTICATED'])),
      ...(name === withoutCredential && { anonymous: ok }),
      'expired key': 'TOKEN_EXPIRED',
      ...outcomesOfPeople(name, row),
      ...Object.fromEntries(known.map((who, index) => [who, outcomes[index]])),
    });
  });
});

describe('a key with `write` and without `read`', () => {
  const as = (scopes: string[]) => async () => ({
    url: server.url,
    key: (await addKey(server.services, { organizationId: await firstOrganization(server.services), scopes })).secret,
  });
  const writer = as(['write']);
  const update = (id: string, selection: string, fragments = '') => `mutation {
    result: updateConversation(input: { conversationId: ${q(id)}, title: "Written" }) {
      ... on UpdateConversationPayload { ${selection} } ... on UserError { detail }
    }
  } ${fragments}`;

  test('gets ids, version, cursor and failures from a mutation', async () => {
    const { conversation } = await makeThings(['conversation']);
    const target = await writer();
    const { data } = await graphql<Answer>(
      target,
      update(conversation, 'cursor conversation { __typename id version }'),
    );
    expect(data?.result).toMatchObject({ cursor: expect.any(String), conversation: { id: conversation, version: 5 } });
    const missing = await graphql<Answer>(target, update('conv_00000000000000000000000000', 'cursor'));
    expect(missing.data?.result).toEqual({ detail: expect.any(String) });
  });

  test.each([
    ['conversation { messages { nodes { text } } }', ''],
    ['conversation { title }', ''],
    ['... on ConversationPayload { conversation { ...All } }', 'fragment All on Conversation { state { phase } }'],
  ])('gets nothing that it has not written, and nothing is written: %s', async (selection, fragments) => {
    const { conversation } = await makeThings(['conversation']);
    const operation = update(conversation, selection, fragments);
    const { status, data, errors } = await graphql<Answer>(await writer(), operation);
    expect([status, data]).toEqual([403, undefined]);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(/Conversation\.\w+.*`READ`/),
      extensions: { code: 'FORBIDDEN' },
    });
    const { title } = await server.services.prisma.conversation.findUniqueOrThrow({
      where: { id: decodeId('Conversation', conversation) ?? '' },
    });
    expect(title).toBe('Hello');
  });

  test('reads nothing of a job that it cancels', async () => {
    const { job } = await makeThings(['job']);
    const operation = `mutation { result: cancelJob(input: { jobId: ${q(job)} }) { ... on CancelJobPayload { job { id progress } } } }`;
    const { status, errors } = await graphql<Answer>(await writer(), operation);
    expect([status, errors?.[0]?.extensions?.code]).toEqual([403, 'FORBIDDEN']);
  });

  test('reads no object without an identity either: none is in the result of a mutation, but what failures say', () => {
    const results = Object.values(schema.getMutationType()?.getFields() ?? {}).map(({ type }) => getNamedType(type));
    const members = results.flatMap((type) => (isUnionType(type) ? type.getTypes() : isObjectType(type) ? [type] : []));
    const held = members.flatMap((type) => Object.values(type.getFields()).map((field) => getNamedType(field.type)));
    const objects = new Set(held.filter((type) => !isLeafType(type)));
    const unknown = [...objects].filter(
      (type) => !(isObjectType(type) || isInterfaceType(type)) || !type.getInterfaces().some(isNode),
    );
    expect(unknown.map(({ name }) => name)).toEqual(['InputIssue']);
  });
});

const isNode = ({ name }: { name: string }) => name === 'Node';
