import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import { addContact, addOrganization, firstOrganization, mintToken, type Organization } from './harness/access.ts';
import { ask, graphql, RefusedError, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send, trySend } from './harness/commands.ts';
import { readLog } from './harness/rows.ts';
import { startServer, useServer } from './harness/server.ts';
import { untilWaiting } from './harness/waiting.ts';

const server = useServer();
let other: App & { key: string };
let organizationId: string;
let foreign: Organization;

beforeAll(async () => {
  other = await startServer(server.databaseUrl);
  organizationId = await firstOrganization(server.services);
  foreign = await addOrganization(server.services);
});
afterAll(() => other.close());

interface ContactData {
  id: string;
  externalId: string | null;
  displayName: string | null;
  email: string | null;
  avatarUrl: string | null;
  anonymous: boolean;
  blockedAt: string | null;
  metadata: Record<string, unknown>;
}

interface Outcome {
  __typename: string;
  contact: ContactData;
  created?: boolean;
  mergedContactId?: string;
  path?: string[];
  issues?: { path: string[]; code: string }[];
}

const fields = 'id externalId displayName email avatarUrl anonymous blockedAt metadata';

/** Runs a command on contacts; returns its payload or its failure. */
async function command(name: string, input: Record<string, unknown>, target: Target = server): Promise<Outcome> {
  const Name = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const type = name === 'upsertContact' ? 'ContactIdentity' : `${Name}Input`;
  const more = { upsertContact: 'created', mergeContacts: 'mergedContactId' }[name] ?? '';
  const { result } = await ask<{ result: Outcome }>(
    target,
    `mutation ($input: ${type}!) {
      result: ${name}(input: $input) {
        __typename
        ... on ${Name}Payload { contact { ${fields} } ${more} }
        ${name.startsWith('create') || name.startsWith('upsert') ? '' : '... on NotFoundError { path }'}
        ${name.endsWith('blockContact') ? '' : '... on InvalidInputError { issues { path code } }'}
      }
    }`,
    { input },
  );
  return result;
}

const find = async (ref: { id?: string; externalId?: string; email?: string }, target: Target = server) =>
  (
    await ask<{ contact: ContactData | null }>(
      target,
      `query ($ref: ContactRef!) { contact(ref: $ref) { ${fields} } }`,
      {
        ref,
      },
    )
  ).contact;

async function list(variables: Record<string, unknown>, target: Target = server): Promise<(string | null)[]> {
  const { contacts } = await ask<{ contacts: { nodes: ContactData[] } }>(
    target,
    `query ($keyword: String, $filter: ContactFilter, $first: Int, $last: Int) {
      contacts(keyword: $keyword, filter: $filter, first: $first, last: $last) { nodes { ${fields} } }
    }`,
    variables,
  );
  return contacts.nodes.map(({ externalId }) => externalId);
}

const uuidOf = (conversationId: string) => decodeId('Conversation', conversationId) ?? '';

describe('a contact', () => {
  test('is created with what is said of it, and found by id, external ID or email', async () => {
    const said = {
      externalId: 'ada',
      displayName: 'Ada',
      email: 'Ada@Example.com',
      metadata: { plan: 'pro', gone: null },
    };
    const { contact } = await command('createContact', said);
    expect(contact).toMatchObject({ ...said, metadata: { plan: 'pro' }, anonymous: false, blockedAt: null });
    for (const ref of [{ id: contact.id }, { externalId: 'ada' }, { email: 'ada@example.COM' }]) {
      expect(await find(ref)).toEqual(contact);
    }
  });

  test('of another organization is not found', async () => {
    const { contact } = await command('upsertContact', { externalId: 'hidden', email: 'hidden@example.com' });
    const target = { url: server.url, key: foreign.key };
    for (const ref of [{ id: contact.id }, { externalId: 'hidden' }, { email: 'hidden@example.com' }]) {
      expect(await find(ref, target)).toBeNull();
    }
    for (const name of ['updateContact', 'blockContact', 'unblockContact']) {
      expect(await command(name, { contactId: contact.id }, target)).toEqual({
        __typename: 'NotFoundError',
        path: ['contactId'],
      });
    }
    expect(await list({ keyword: 'hidden' }, target)).toEqual([]);
    // The external ID is theirs to give.
    expect((await command('upsertContact', { externalId: 'hidden' }, target)).created).toBe(true);
  });

  test.each([
    { id: 'contact_nonsense' },
    { id: 'conv_00000000000000000000000000' },
    { externalId: 'a\0b' },
    { email: '\ud800' },
  ])('that cannot exist is null: %j', async (ref) => {
    expect(await find(ref)).toBeNull();
  });

  test('keeps what an update leaves out, loses what it says is null, and adds to its metadata', async () => {
    const { contact } = await command('createContact', {
      displayName: 'Ben',
      email: 'ben@example.com',
      metadata: { a: 1, deep: { b: 2, c: 3 } },
    });
    const changed = await command('updateContact', {
      contactId: contact.id,
      email: null,
      metadata: { a: null, deep: { c: null, d: [4] } },
    });
    expect(changed.contact).toEqual({ ...contact, email: null, metadata: { deep: { b: 2, d: [4] } } });
  });

  test('gets what two updates add to its metadata at once', async () => {
    const { contact } = await command('createContact', {});
    const update = (key: string, target: Target) =>
      command('updateContact', { contactId: contact.id, metadata: { [key]: true } }, target);
    await Promise.all(Array.from({ length: 20 }, (_, index) => update(`key ${index}`, index % 2 ? server : other)));
    expect(Object.keys((await find({ id: contact.id }))?.metadata ?? {})).toHaveLength(20);
  });

  test('has an external ID of its own', async () => {
    await command('createContact', { externalId: 'taken' });
    const { contact } = await command('createContact', {});
    const refused = { __typename: 'InvalidInputError', issues: [{ path: ['externalId'], code: 'DUPLICATE' }] };
    expect(await command('createContact', { externalId: 'taken' })).toEqual(refused);
    expect(await command('updateContact', { contactId: contact.id, externalId: 'taken' })).toEqual(refused);
  });

  test.each([
    [{ externalId: '' }, ['externalId'], 'REQUIRED'],
    [{ externalId: 'a\0' }, ['externalId'], 'MALFORMED'],
    [{ displayName: 'x'.repeat(1025) }, ['displayName'], 'TOO_LONG'],
    [{ email: 'nobody' }, ['email'], 'MALFORMED'],
    [{ email: 'a@b c@d' }, ['email'], 'MALFORMED'],
    [{ avatarUrl: 'javascript:alert(1)' }, ['avatarUrl'], 'MALFORMED'],
    [{ metadata: { text: 'x'.repeat(65_536) } }, ['metadata'], 'TOO_LARGE'],
  ])('is not made of %j', async (input, path, code) => {
    const { contact } = await command('createContact', {});
    for (const [name, given] of [
      ['createContact', input],
      ['updateContact', { contactId: contact.id, ...input }],
      ['upsertContact', { externalId: 'unmade', ...input }],
    ] as const) {
      expect(await command(name, given)).toEqual({ __typename: 'InvalidInputError', issues: [{ path, code }] });
    }
    expect(await find({ externalId: 'unmade' })).toBeNull();
  });

  test('holds no more metadata than it may, however it is added', async () => {
    const externalId = 'hoarder';
    const part = (name: string) => ({ [name]: 'x'.repeat(60_000) });
    const { contact } = await command('upsertContact', { externalId, metadata: part('a') });
    await command('upsertContact', { externalId, metadata: part('b') });
    const refused = { __typename: 'InvalidInputError', issues: [{ path: ['metadata'], code: 'TOO_LARGE' }] };
    expect(await command('upsertContact', { externalId, displayName: 'No', metadata: part('c') })).toEqual(refused);
    expect(await command('updateContact', { contactId: contact.id, metadata: part('c') })).toEqual(refused);
    expect(await find({ externalId })).toMatchObject({ displayName: null, metadata: { ...part('a'), ...part('b') } });
  });
});

test('twenty upserts of one external ID on two servers at once make one contact with what all have said', async () => {
  const upsert = (index: number) =>
    command(
      'upsertContact',
      { externalId: 'raced', metadata: { [`key ${index}`]: index } },
      index % 2 ? server : other,
    );
  const results = await Promise.all(Array.from({ length: 20 }, (_, index) => upsert(index)));
  expect(results.filter(({ created }) => created)).toHaveLength(1);
  expect(new Set(results.map(({ contact }) => contact.id)).size).toBe(1);
  expect(Object.keys((await find({ externalId: 'raced' }))?.metadata ?? {})).toHaveLength(20);
});

describe('the list of contacts', () => {
  beforeAll(async () => {
    await command('createContact', { externalId: 'l-1', displayName: 'Zoë Ångström', metadata: { team: { id: 7 } } });
    await command('createContact', { externalId: 'l-2', displayName: '100% Zoe', email: 'zoe_x@list.example' });
    await command('createContact', { externalId: 'l-3', displayName: 'Zoey', email: 'zoey@list.example' });
  });

  test.each([
    ['zoe', ['l-2', 'l-3']],
    ['ZOË ångström', ['l-1']],
    ['list.example zoey', ['l-3']],
    ['100%', ['l-2']],
    ['zoe_x', ['l-2']],
    ['o%y@', []],
    ['l-3', ['l-3']],
    ['\\', []],
  ])('finds each word of %j', async (keyword, found) => {
    expect(await list({ keyword })).toEqual(found);
  });

  test('is filtered by metadata, by whether they are known, and by when they came', async () => {
    await addContact(server.services, organizationId, { anonymous: true });
    expect(await list({ filter: { metadata: { team: { id: 7 } } } })).toEqual(['l-1']);
    expect(new Set(await list({ filter: { anonymous: true } }))).toEqual(new Set([null]));
    expect(await list({ filter: { created: { from: '2999-01-01T00:00:00.000Z' } } })).toEqual([]);
  });

  test('is read in pages from both ends', async () => {
    expect(await list({ keyword: 'l-', first: 2 })).toEqual(['l-1', 'l-2']);
    expect(await list({ keyword: 'l-', last: 2 })).toEqual(['l-2', 'l-3']);
  });

  test.each([{ keyword: 'a '.repeat(11) }, { keyword: 'x'.repeat(201) }, { keyword: 'a\0' }, { first: 101 }])(
    'refuses %j',
    async (variables) => {
      await expect(list(variables)).rejects.toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    },
  );
});

describe('a person named in the command that needs them', () => {
  test('is made with the conversation, and writes its message', async () => {
    const input = {
      contact: { externalId: 'inline', displayName: 'Inge' },
      message: { content: { text: 'Hi' } },
      action: 'NONE',
    };
    const { conversation } = await createConversation(server, input);
    await createConversation(server, input);
    const read = `{ conversation(id: "${conversation.id}") {
      contact { externalId } lastMessage { author { displayName contact { externalId } } }
    } }`;
    expect(await ask(server, read)).toEqual({
      conversation: {
        contact: { externalId: 'inline' },
        lastMessage: { author: { displayName: 'Inge', contact: { externalId: 'inline' } } },
      },
    });
    expect(await server.services.prisma.contact.count({ where: { externalId: 'inline' } })).toBe(1);
  });

  test('is not made where the conversation is not, and is one person only', async () => {
    const contact = { externalId: 'never', displayName: 'Nobody' };
    const state = { playbook: 'unknown' };
    await expect(createConversation(server, { contact, state })).rejects.toThrow('InvalidInputError');
    const contactId = await addContact(server.services, organizationId);
    await expect(createConversation(server, { contact, contactId })).rejects.toThrow('not both');
    expect(await find({ externalId: 'never' })).toBeNull();
  });

  test('gets a client token, the same person each time', async () => {
    const contact = { externalId: 'token', displayName: 'Toni' };
    const tokens = [await mintToken(server, { contact }), await mintToken(server, { contact })];
    const viewers = await Promise.all(
      tokens.map((key) => ask({ url: server.url, key }, '{ viewer { contact { id externalId anonymous } } }')),
    );
    expect(viewers[0]).toMatchObject({ viewer: { contact: { externalId: 'token', anonymous: false } } });
    expect(viewers[1]).toEqual(viewers[0]);
    await expect(mintToken(server, { contact: { externalId: '' } })).rejects.toThrow('for.contact.externalId');
  });
});

/** A person with a conversation, and tokens of both kinds. */
async function somebody({ anonymous = false } = {}) {
  const contactId = await addContact(server.services, organizationId, { anonymous });
  const { conversation, cursor } = await createConversation(server, { contactId, action: 'NONE' });
  const conversationId = conversation.id;
  const tokens = [await mintToken(server, { contactId }), await mintToken(server, { conversationId })];
  return { contactId, conversationId, cursor, tokens, token: tokens[0] ?? '' };
}

/** Follows a conversation on the other server; resolves once it is told something, with what the socket is closed with later. */
async function follow(key: string, { conversationId, cursor }: { conversationId: string; cursor: string }) {
  const stream = subscribeWs(
    other,
    `subscription ($id: ID!, $after: EventCursor) { conversationEvents(conversationId: $id, after: $after) { __typename } }`,
    { id: conversationId, after: cursor },
    { key },
  );
  await stream.next();
  const rest = async () => {
    for await (const _event of stream) continue;
  };
  return {
    closed: rest().catch((error: unknown) => (error instanceof Object && 'code' in error ? error.code : error)),
  };
}

const codeFor = async (key: string) =>
  (await graphql({ url: server.url, key }, '{ viewer { kind } }')).errors?.[0]?.extensions?.code;

describe('a blocked person', () => {
  test('has no token and no socket any more, on any server, and none again by being unblocked', async () => {
    const person = await somebody();
    const { contactId, conversationId, tokens } = person;
    await send(server, { conversationId, content: { text: 'Hello' }, action: 'NONE' });
    const sockets = await Promise.all(tokens.map((key) => follow(key, person)));
    const { contact } = await command('blockContact', { contactId });
    expect(contact.blockedAt).not.toBeNull();
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([4401, 4401]);
    for (const key of tokens) await expect.poll(() => codeFor(key)).toBe('UNAUTHENTICATED');
    await command('unblockContact', { contactId });
    for (const key of tokens) await expect.poll(() => codeFor(key), { timeout: 3000 }).toBe('UNAUTHENTICATED');
    expect(await codeFor(await mintToken(server, { contactId }))).toBeUndefined();
  });

  test('writes nothing, whoever sends it for them, until they are unblocked', async () => {
    const { contactId, conversationId } = await somebody();
    await command('blockContact', { contactId });
    const { blockedAt } = (await command('blockContact', { contactId })).contact;
    expect((await command('blockContact', { contactId })).contact.blockedAt).toBe(blockedAt);
    const content = { text: 'Hello' };
    const elsewhere = (await createConversation(server, { action: 'NONE' })).conversation.id;
    for (const input of [{ conversationId }, { conversationId: elsewhere, contactId }]) {
      expect(await trySend(server, { ...input, content, action: 'NONE' })).toMatchObject({
        __typename: 'ContactBlockedError',
      });
    }
    await expect(createConversation(server, { contactId, message: { content } })).rejects.toThrow(
      'ContactBlockedError',
    );
    await expect(mintToken(server, { contactId })).rejects.toThrow('blocked');
    await expect(mintToken(server, { conversationId })).rejects.toThrow('blocked');
    const log = await readLog(server.services.pool, uuidOf(conversationId));
    expect(log.map(({ type }) => type)).toEqual(['ConversationCreated']);
    // The others may still answer.
    await send(server, { conversationId: elsewhere, content, action: 'NONE' });
    await command('unblockContact', { contactId });
    await send(server, { conversationId, content, action: 'NONE' });
  });

  test('has nothing written that was on its way when they were blocked', async () => {
    const { contactId, conversationId, token } = await somebody();
    expect(await codeFor(token)).toBeUndefined();
    await command('blockContact', { contactId });
    // The server still remembers the token for a moment.
    const sent = await graphql<{ sendMessage: { __typename: string } }>(
      { url: server.url, key: token },
      `mutation { sendMessage(input: { conversationId: "${conversationId}", content: { text: "Late" } }) { __typename } }`,
    );
    const outcome = sent.errors?.[0]?.extensions?.code ?? sent.data?.sendMessage.__typename;
    expect(['UNAUTHENTICATED', 'NotFoundError']).toContain(outcome);
    expect(await readLog(server.services.pool, uuidOf(conversationId))).toHaveLength(1);
  });
});

describe('contacts that are merged', () => {
  test('are one person, who has the conversations, each with an event', async () => {
    const visitor = await somebody({ anonymous: true });
    const { contact } = await command('upsertContact', { externalId: 'known', displayName: 'Kim' });
    const merged = await command('mergeContacts', { contactId: visitor.contactId, intoContactId: contact.id });
    expect(merged).toMatchObject({ contact, mergedContactId: visitor.contactId });
    expect(await find({ id: visitor.contactId })).toBeNull();
    const key = await mintToken(server, { contactId: contact.id });
    const mine = await ask({ url: server.url, key }, '{ conversations { nodes { id } } }');
    expect(mine).toEqual({ conversations: { nodes: [{ id: visitor.conversationId }] } });
    const log = await readLog(server.services.pool, uuidOf(visitor.conversationId));
    expect(log.map(({ type }) => type)).toEqual(['ConversationCreated', 'ConversationUpdated']);
    for (const token of visitor.tokens)
      await expect.poll(() => codeFor(token), { timeout: 3000 }).toBe('UNAUTHENTICATED');
  });

  test('leave no socket of the one that is gone open', async () => {
    const visitor = await somebody({ anonymous: true });
    await send(server, { conversationId: visitor.conversationId, content: { text: 'Hello' }, action: 'NONE' });
    const socket = await follow(visitor.token, visitor);
    await command('mergeContacts', {
      contactId: visitor.contactId,
      intoContactId: await addContact(server.services, organizationId),
    });
    expect(await socket.closed).toBe(4401);
  });

  test('take the idempotency keys along', async () => {
    const { contactId, conversationId, token } = await somebody({ anonymous: true });
    const input = { conversationId, content: { text: 'Once' }, action: 'NONE', idempotencyKey: 'once' };
    const first = await send({ url: server.url, key: token }, input);
    const intoContactId = await addContact(server.services, organizationId);
    await command('mergeContacts', { contactId, intoContactId });
    const again = await send({ url: server.url, key: await mintToken(server, { contactId: intoContactId }) }, input);
    expect(again.message.id).toBe(first.message.id);
  });

  test('are two, of this organization: an anonymous one and a known one', async () => {
    const [anonymous, another] = [
      await addContact(server.services, organizationId, { anonymous: true }),
      await addContact(server.services, organizationId, { anonymous: true }),
    ];
    const known = await addContact(server.services, organizationId);
    const theirs = await addContact(server.services, foreign.id, { anonymous: true });
    const merge = (contactId: string, intoContactId: string) => command('mergeContacts', { contactId, intoContactId });
    const refused = (field: string) => ({
      __typename: 'InvalidInputError',
      issues: [{ path: [field], code: 'NOT_ALLOWED' }],
    });
    expect(await merge(anonymous, anonymous)).toEqual(refused('intoContactId'));
    expect(await merge(anonymous, another)).toEqual(refused('intoContactId'));
    expect(await merge(known, known)).toEqual(refused('intoContactId'));
    expect(await merge(known, await addContact(server.services, organizationId))).toEqual(refused('contactId'));
    expect(await merge(anonymous, foreign.contactId)).toEqual({ __typename: 'NotFoundError', path: ['intoContactId'] });
    expect(await merge(theirs, known)).toEqual({ __typename: 'NotFoundError', path: ['contactId'] });
    expect(await merge('contact_', known)).toEqual({ __typename: 'NotFoundError', path: ['contactId'] });
    expect(await find({ id: anonymous })).not.toBeNull();
  });

  test.each(['sendMessage', 'endConversation'])(
    'have no %s committed that waited while the conversation moved away from its sender',
    async (name) => {
      const { pool } = server.services;
      const visitor = await somebody({ anonymous: true });
      const intoContactId = await addContact(server.services, organizationId);
      const holder = await pool.connect();
      await holder.query('BEGIN');
      await holder.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [uuidOf(visitor.conversationId)]);
      const merging = command('mergeContacts', { contactId: visitor.contactId, intoContactId }, other);
      await untilWaiting(pool, 1);
      const content = name === 'sendMessage' ? 'content: { text: "Late" }, action: NONE' : '';
      const sending = graphql<{ result: { __typename: string } }>(
        { url: server.url, key: visitor.token },
        `mutation { result: ${name}(input: { conversationId: "${visitor.conversationId}" ${content} }) { __typename } }`,
      );
      await untilWaiting(pool, 2);
      await holder.query('COMMIT');
      holder.release();
      expect((await merging).__typename).toBe('MergeContactsPayload');
      expect((await sending).data?.result.__typename).toBe('NotFoundError');
      const log = await readLog(pool, uuidOf(visitor.conversationId));
      expect(log.map(({ type }) => type)).toEqual(['ConversationCreated', 'ConversationUpdated']);
    },
  );

  test('are merged once, and nothing of a person who writes meanwhile is lost or written later', async () => {
    const visitor = await somebody({ anonymous: true });
    const { conversationId } = visitor;
    const targets = [
      await addContact(server.services, organizationId),
      await addContact(server.services, organizationId),
    ];
    const sends = Array.from({ length: 10 }, (_, index) =>
      trySend(
        { url: server.url, key: visitor.token },
        { conversationId, content: { text: `${index}` }, action: 'NONE' },
      ).catch((error: unknown) => {
        if (error instanceof RefusedError) return null;
        throw error;
      }),
    );
    const merges = targets.map((intoContactId, index) =>
      command('mergeContacts', { contactId: visitor.contactId, intoContactId }, index ? server : other),
    );
    const outcomes = (await Promise.all(merges)).map(({ __typename }) => __typename);
    expect(outcomes.sort()).toEqual(['MergeContactsPayload', 'NotFoundError']);
    const written = (await Promise.all(sends)).filter((result) => result?.__typename === 'SendMessagePayload');
    const types = (await readLog(server.services.pool, uuidOf(conversationId))).map(({ type }) => type);
    expect(types.filter((type) => type === 'MessageCreated')).toHaveLength(written.length);
    expect(types.at(-1)).toBe('ConversationUpdated');
  });

  test('take along what was written as a guest, so that it is erased with the person', async () => {
    const visitor = await somebody({ anonymous: true });
    const room = await somebody();
    const said = await send(server, {
      conversationId: room.conversationId,
      contactId: visitor.contactId,
      content: { text: 'As a guest' },
      action: 'NONE',
    });
    const intoContactId = await addContact(server.services, organizationId);
    await command('mergeContacts', { contactId: visitor.contactId, intoContactId });
    const { author } = await server.services.prisma.message.findUniqueOrThrow({
      where: { id: decodeId('Message', said.message.id) ?? '' },
    });
    expect(author).toMatchObject({ contactId: decodeId('Contact', intoContactId), displayName: 'Robin' });
  });

  test('are locked before conversations, and those before attachments', async () => {
    const { pool } = server.services;
    const visitor = await somebody({ anonymous: true });
    const from = decodeId('Contact', visitor.contactId);
    const attachmentId = server.services.newId();
    await pool.query(
      `INSERT INTO attachment (id, organization_id, uploader, contact_id, type, filename, bytes, secret)
        VALUES ($1, $2, $3, $4, 'OTHER', 'a', 1, '')`,
      [attachmentId, organizationId, `contact:${from}`, from],
    );
    const holder = await pool.connect();
    const hold = async (table: string, id: string | null) => {
      await holder.query(`SELECT FROM ${table} WHERE id = $1 FOR UPDATE NOWAIT`, [id]);
    };
    await holder.query('BEGIN');
    await hold('conversation', uuidOf(visitor.conversationId));
    const intoContactId = await addContact(server.services, organizationId);
    const merging = command('mergeContacts', { contactId: visitor.contactId, intoContactId }, other);
    await untilWaiting(pool, 1);
    await hold('attachment', attachmentId);
    await holder.query('COMMIT');
    expect((await merging).__typename).toBe('MergeContactsPayload');

    const guest = await addContact(server.services, organizationId);
    const input = { conversationId: visitor.conversationId, contactId: guest, content: { text: 'Hello' } };
    await holder.query('BEGIN');
    await hold('contact', decodeId('Contact', guest));
    const sending = trySend({ url: other.url, key: server.key }, { ...input, action: 'NONE' });
    await untilWaiting(pool, 1);
    await hold('conversation', uuidOf(visitor.conversationId));
    await holder.query('COMMIT');
    holder.release();
    expect((await sending).__typename).toBe('SendMessagePayload');
  });

  test('leave no conversation behind that is created meanwhile', async () => {
    const contactId = await addContact(server.services, organizationId, { anonymous: true });
    const intoContactId = await addContact(server.services, organizationId);
    const creations = Array.from({ length: 10 }, () =>
      createConversation(other, { contactId, action: 'NONE' }).catch((error: unknown) => String(error)),
    );
    await command('mergeContacts', { contactId, intoContactId });
    const created = (await Promise.all(creations)).filter((result) => typeof result !== 'string');
    const owned = await server.services.prisma.conversation.count({
      where: { contactId: decodeId('Contact', intoContactId) },
    });
    expect(owned).toBe(created.length);
  });
});
