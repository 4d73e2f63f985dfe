import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import { ask, graphql, type Target } from './harness/client.ts';
import { trySend } from './harness/commands.ts';
import { startServer, useServer } from './harness/server.ts';
import { addWebChat, askForVisit, sign, visit, type VisitResult, type WebChat } from './harness/visits.ts';
import { untilWaiting } from './harness/waiting.ts';

const server = useServer({ config: { visitLimitPerAddress: 0, visitLimitPerInbox: 0 } });
let other: App & { key: string };
let chat: WebChat;
beforeAll(async () => {
  other = await startServer(server.databaseUrl, { config: { visitLimitPerAddress: 0 } });
  chat = await addWebChat(server);
});
afterAll(() => other.close());

const as = ({ token }: Pick<VisitResult, 'token'>, { url }: Pick<Target, 'url'> = server): Target => ({
  url,
  key: token,
});
const inboxKey = () => chat.publicKey;

/** Begins a conversation as a visitor; returns its id. */
async function write(visitor: Target, text = 'Hello'): Promise<string> {
  const { result } = await ask<{ result: { conversation?: { id: string }; detail?: string } }>(
    visitor,
    `mutation ($text: String!) {
      result: createConversation(input: { message: { content: { text: $text } }, action: NONE }) {
        ... on CreateConversationPayload { conversation { id } } ... on UserError { detail }
      }
    }`,
    { text },
  );
  if (!result.conversation) throw new Error(result.detail);
  return result.conversation.id;
}

async function conversationsOf(visitor: Target): Promise<string[]> {
  const { conversations } = await ask<{ conversations: { nodes: { id: string }[] } }>(
    visitor,
    '{ conversations { nodes { id } } }',
  );
  return conversations.nodes.map(({ id }) => id);
}

/** What asking with this token comes to: OK, or the code of the error. */
async function codeFor(visitor: Target): Promise<string> {
  const { errors } = await graphql(visitor, '{ viewer { kind } }');
  return errors ? String(errors[0]?.extensions?.['code']) : 'OK';
}

describe('a visit', () => {
  test('needs no credential, and gives one with which the visitor begins a conversation of the inbox', async () => {
    const started = await visit(server, { inboxKey: inboxKey() });
    expect(started).toMatchObject({
      __typename: 'StartVisitPayload',
      visitorSecret: expect.stringMatching(/^visitor_/),
      contact: { anonymous: true, externalId: null },
      inbox: { id: chat.id, attended: true },
    });
    const id = await write(as(started));
    const { conversation, viewer } = await ask<Record<string, unknown>>(
      as(started),
      `query ($id: ID!) {
        conversation(id: $id) { inbox { id publicKey } contact { id } }
        viewer { kind grants contact { id lastSeenAt } }
      }`,
      { id },
    );
    expect(conversation).toEqual({ inbox: { id: chat.id, publicKey: null }, contact: { id: started.contact.id } });
    expect(viewer).toEqual({
      kind: 'CLIENT_TOKEN',
      grants: ['START_CONVERSATION', 'ASK_FOR_HUMAN', 'REGENERATE', 'RATE', 'END'],
      contact: { id: started.contact.id, lastSeenAt: expect.any(String) },
    });
  });

  test('lets the visitor read its inbox, and no other', async () => {
    const another = await addWebChat(server);
    const visitor = as(await visit(server, { inboxKey: inboxKey() }));
    const read = (id: string) => ask(visitor, 'query ($id: ID!) { inbox(id: $id) { id attended } }', { id });
    expect(await read(chat.id)).toEqual({ inbox: { id: chat.id, attended: true } });
    expect(await read(another.id)).toEqual({ inbox: null });
    const { result } = await ask<{ result: unknown }>(
      visitor,
      `mutation ($id: ID!) {
        result: createConversation(input: { inboxId: $id, action: NONE }) { ... on NotFoundError { path } }
      }`,
      { id: another.id },
    );
    expect(result).toEqual({ path: ['inboxId'] });
  });

  test('of a browser that comes back is that of the same visitor, with another secret, and ends the token before', async () => {
    const first = await visit(server, { inboxKey: inboxKey() });
    const id = await write(as(first));
    const second = await visit(other, { inboxKey: inboxKey(), visitorSecret: first.visitorSecret });
    expect(second.contact).toEqual(first.contact);
    expect(second.visitorSecret).not.toBe(first.visitorSecret);
    expect(await conversationsOf(as(second))).toEqual([id]);
    await expect.poll(() => codeFor(as(first)), { timeout: 3000 }).toBe('UNAUTHENTICATED');
  });

  test('of an unknown web chat is not found', async () => {
    for (const unknown of ['web_nothing', '', 'x'.repeat(100_00), 'web_\0', chat.id]) {
      expect(await visit(server, { inboxKey: unknown })).toMatchObject({ path: ['inboxKey'] });
    }
  });
});

describe('a visitor whom the page’s own server names', () => {
  test('is that person, known by the external ID, and gets no secret', async () => {
    const identity = await sign(chat, { sub: 'named', name: 'Ada', email: 'ada@example.com' });
    const first = await visit(server, { inboxKey: inboxKey(), identity });
    expect(first).toMatchObject({
      visitorSecret: null,
      contact: { externalId: 'named', displayName: 'Ada', anonymous: false },
    });
    const id = await write(as(first));
    // The identity can be used again, and what it does not say stays.
    const later = await visit(other, { inboxKey: inboxKey(), identity: await sign(chat, { sub: 'named' }) });
    expect(later.contact).toEqual(first.contact);
    expect(await visit(server, { inboxKey: inboxKey(), identity })).toMatchObject({ contact: first.contact });
    expect(await conversationsOf(as(later))).toEqual([id]);
    expect(await codeFor(as(first))).toBe('OK');
  });

  test('keeps the conversations that they began before they said who they are', async () => {
    const before = await visit(server, { inboxKey: inboxKey() });
    const id = await write(as(before));
    const identity = await sign(chat, { sub: 'merged' });
    const known = await visit(other, { inboxKey: inboxKey(), identity, visitorSecret: before.visitorSecret });
    expect(known).toMatchObject({ visitorSecret: null, contact: { externalId: 'merged' } });
    expect(await conversationsOf(as(known))).toEqual([id]);
    await expect.poll(() => codeFor(as(before)), { timeout: 3000 }).toBe('UNAUTHENTICATED');
  });

  test('is one person when two servers hear of them at once', async () => {
    const identity = await sign(chat, { sub: 'twice' });
    const visits = await Promise.all(
      Array.from({ length: 20 }, (_, index) => visit(index % 2 ? server : other, { inboxKey: inboxKey(), identity })),
    );
    expect(new Set(visits.map(({ contact }) => contact.id)).size).toBe(1);
  });

  test('becomes one when two servers are told at once, with the secret of one browser', async () => {
    const before = await visit(server, { inboxKey: inboxKey() });
    const id = await write(as(before));
    const input = {
      inboxKey: inboxKey(),
      identity: await sign(chat, { sub: 'both' }),
      visitorSecret: before.visitorSecret,
    };
    const [one, two] = await Promise.all([visit(server, input), visit(other, input)]);
    expect(one.contact.id).toBe(two.contact.id);
    expect(await conversationsOf(as(one))).toEqual([id]);
  });

  test('is asked for where the inbox takes nobody else', async () => {
    const closed = await addWebChat(server, { allowsAnonymous: false });
    const anonymous = await visit(server, { inboxKey: inboxKey() });
    for (const visitorSecret of [null, anonymous.visitorSecret]) {
      expect(await visit(server, { inboxKey: closed.publicKey, visitorSecret })).toMatchObject({
        reason: 'IDENTITY_REQUIRED',
      });
    }
    const identity = await sign(closed, { sub: 'invited' });
    expect(await visit(server, { inboxKey: closed.publicKey, identity })).toHaveProperty('token');
  });
});

describe('an identity is refused', () => {
  const refused = async (identity: string) => (await visit(server, { inboxKey: inboxKey(), identity })).reason;

  test('when it is forged, unsigned, or signed by another inbox', async () => {
    const another = await addWebChat(server);
    const unsigned = (await sign(chat, { sub: 'mallory' })).split('.')[1];
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const identity of [
      await sign({ ...chat, identitySecret: 'guessed' }, { sub: 'mallory' }),
      await sign({ ...chat, identitySecret: another.identitySecret }, { sub: 'mallory' }),
      await sign(chat, { sub: 'mallory' }, { alg: 'HS512' }),
      `${none}.${unsigned ?? ''}.`,
      'nonsense',
      '',
      'a.b.c',
    ]) {
      expect(await refused(identity)).toBe('IDENTITY_INVALID');
    }
  });

  test('when it is meant for another inbox', async () => {
    const another = await addWebChat(server);
    expect(await refused(await sign({ ...chat, publicKey: another.publicKey }, { sub: 'mallory' }))).toBe(
      'IDENTITY_INVALID',
    );
    expect(await refused(await sign(chat, { sub: 'mallory', aud: undefined }))).toBe('IDENTITY_INVALID');
  });

  test('when it has expired', async () => {
    expect(await refused(await sign(chat, { sub: 'late' }, { seconds: -1 }))).toBe('IDENTITY_EXPIRED');
  });

  test('when it lives for more than an hour, or for ever', async () => {
    expect(await refused(await sign(chat, { sub: 'old' }, { seconds: 4000 }))).toBe('IDENTITY_INVALID');
    const iat = Math.floor(Date.now() / 1000) - 7200;
    expect(await refused(await sign(chat, { sub: 'old', iat }))).toBe('IDENTITY_INVALID');
    expect(await refused(await sign(chat, { sub: 'old', exp: undefined }))).toBe('IDENTITY_INVALID');
  });

  test('when it names nobody, or says what cannot be', async () => {
    expect(await refused(await sign(chat, {}))).toBe('IDENTITY_INVALID');
    expect(await refused(await sign(chat, { sub: 'x', name: 7 }))).toBe('IDENTITY_INVALID');
    const issuesOf = async (claims: Record<string, unknown>) =>
      visit(server, { inboxKey: inboxKey(), identity: await sign(chat, claims) });
    expect(await issuesOf({ sub: ' ' })).toMatchObject({
      issues: [{ path: ['identity', 'externalId'], code: 'REQUIRED' }],
    });
    expect(await issuesOf({ sub: 'x', email: 'none' })).toMatchObject({ issues: [{ path: ['identity', 'email'] }] });
    expect(await issuesOf({ sub: 'x'.repeat(9000) })).toMatchObject({
      issues: [{ path: ['identity'], code: 'TOO_LONG' }],
    });
  });

  test('once the secret that signed it was replaced', async () => {
    const rotating = await addWebChat(server);
    const old = await sign(rotating, { sub: 'rotated' });
    const { result } = await ask<{ result: { identitySecret: string } }>(
      server,
      `mutation ($id: ID!) {
        result: rotateInboxSecret(input: { inboxId: $id }) { ... on RotateInboxSecretPayload { identitySecret } }
      }`,
      { id: rotating.id },
    );
    expect(await visit(server, { inboxKey: rotating.publicKey, identity: old })).toMatchObject({
      reason: 'IDENTITY_INVALID',
    });
    const identity = await sign({ ...rotating, ...result }, { sub: 'rotated' });
    expect(await visit(server, { inboxKey: rotating.publicKey, identity })).toHaveProperty('token');
  });
});

describe('somebody else on the same browser', () => {
  test('gets nothing of a visitor with a secret that was used', async () => {
    const first = await visit(server, { inboxKey: inboxKey() });
    await write(as(first));
    await visit(server, { inboxKey: inboxKey(), visitorSecret: first.visitorSecret });
    const again = await visit(other, { inboxKey: inboxKey(), visitorSecret: first.visitorSecret });
    expect(again.contact.id).not.toBe(first.contact.id);
    expect(await conversationsOf(as(again))).toEqual([]);
  });

  test('gets nothing when two use a secret at once: one of them is the visitor', async () => {
    const first = await visit(server, { inboxKey: inboxKey() });
    const both = await Promise.all(
      [server, other].map((at) => visit(at, { inboxKey: inboxKey(), visitorSecret: first.visitorSecret })),
    );
    expect(both.filter(({ contact }) => contact.id === first.contact.id)).toHaveLength(1);
  });

  test('gets nothing of a person who said who they are, with any secret that was ever there', async () => {
    const first = await visit(server, { inboxKey: inboxKey() });
    const second = await visit(server, { inboxKey: inboxKey(), visitorSecret: first.visitorSecret });
    await write(as(second));
    const identity = await sign(chat, { sub: 'shared' });
    const known = await visit(server, { inboxKey: inboxKey(), identity, visitorSecret: second.visitorSecret });
    await write(as(known));
    for (const { visitorSecret } of [first, second]) {
      const stranger = await visit(server, { inboxKey: inboxKey(), visitorSecret });
      expect(stranger.contact.anonymous).toBe(true);
      expect(await conversationsOf(as(stranger))).toEqual([]);
    }
  });

  test('who has planted their own secret reads nothing of what is written with it', async () => {
    const planter = await visit(server, { inboxKey: inboxKey() });
    const victim = await visit(server, { inboxKey: inboxKey(), visitorSecret: planter.visitorSecret });
    await expect.poll(() => codeFor(as(planter)), { timeout: 3000 }).toBe('UNAUTHENTICATED');
    await write(as(victim), 'My address is …');
    const identity = await sign(chat, { sub: 'victim' });
    await visit(server, { inboxKey: inboxKey(), identity, visitorSecret: victim.visitorSecret });
    expect(await codeFor(as(planter))).toBe('UNAUTHENTICATED');
    const again = await visit(server, { inboxKey: inboxKey(), visitorSecret: planter.visitorSecret });
    expect(await conversationsOf(as(again))).toEqual([]);
  });

  test('gets no known person by a secret, when operators have named the visitor', async () => {
    const before = await visit(server, { inboxKey: inboxKey() });
    await ask(
      server,
      'mutation ($id: ID!) { updateContact(input: { contactId: $id, externalId: "by an operator" }) { __typename } }',
      { id: before.contact.id },
    );
    const again = await visit(server, { inboxKey: inboxKey(), visitorSecret: before.visitorSecret });
    expect(again.contact).toMatchObject({ anonymous: true, externalId: null });
  });
});

describe('a blocked visitor', () => {
  const block = (id: string) =>
    ask(server, 'mutation ($id: ID!) { blockContact(input: { contactId: $id }) { __typename } }', { id });

  test('is refused, by secret and by identity', async () => {
    const anonymous = await visit(server, { inboxKey: inboxKey() });
    await block(anonymous.contact.id);
    for (let turn = 0; turn < 2; turn += 1) {
      const { visitorSecret } = anonymous;
      expect(await visit(server, { inboxKey: inboxKey(), visitorSecret })).toMatchObject({ reason: 'BLOCKED' });
    }
    const identity = await sign(chat, { sub: 'blocked' });
    const known = await visit(server, { inboxKey: inboxKey(), identity });
    await block(known.contact.id);
    expect(await visit(server, { inboxKey: inboxKey(), identity })).toMatchObject({ reason: 'BLOCKED' });
  });

  test('is not merged into whom they say they are, who may write', async () => {
    const anonymous = await visit(server, { inboxKey: inboxKey() });
    await write(as(anonymous));
    await block(anonymous.contact.id);
    const identity = await sign(chat, { sub: 'not merged' });
    const { visitorSecret } = anonymous;
    const known = await visit(server, { inboxKey: inboxKey(), identity, visitorSecret });
    expect(await conversationsOf(as(known))).toEqual([]);
  });
});

test('what a visitor sends while they say who they are is in the conversation of that person, or refused', async () => {
  const before = await visit(server, { inboxKey: inboxKey() });
  const id = await write(as(before));
  const holder = await server.services.pool.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT FROM conversation WHERE id = $1 FOR UPDATE', [decodeId('Conversation', id)]);
    const identity = await sign(chat, { sub: 'while sending' });
    const merging = visit(other, { inboxKey: inboxKey(), identity, visitorSecret: before.visitorSecret });
    await untilWaiting(server.services.pool, 1);
    const sending = trySend(as(before), { conversationId: id, content: { text: 'Late' }, action: 'NONE' });
    await untilWaiting(server.services.pool, 2);
    await holder.query('COMMIT');
    expect(await sending).toMatchObject({ __typename: 'NotFoundError' });
    expect(await conversationsOf(as(await merging))).toEqual([id]);
  } finally {
    holder.release();
  }
});

test('the tokens of visits end with their inbox, whose conversations stay', async () => {
  const gone = await addWebChat(server);
  const started = await visit(server, { inboxKey: gone.publicKey });
  const id = await write(as(started));
  await ask(server, 'mutation ($id: ID!) { deleteInbox(input: { inboxId: $id }) { __typename } }', { id: gone.id });
  await expect.poll(() => codeFor(as(started)), { timeout: 3000 }).toBe('UNAUTHENTICATED');
  expect(await visit(server, { inboxKey: gone.publicKey })).toMatchObject({ path: ['inboxKey'] });
  expect(await ask(server, 'query ($id: ID!) { conversation(id: $id) { inbox { id } } }', { id })).toEqual({
    conversation: { inbox: null },
  });
});

test('a credential is not taken into account, unless it is bad', async () => {
  const { status, data } = await askForVisit(
    server,
    { inboxKey: inboxKey() },
    { Authorization: `Bearer ${server.key}` },
  );
  expect([status, data?.result.__typename]).toEqual([200, 'StartVisitPayload']);
  expect((await askForVisit(server, { inboxKey: inboxKey() }, { Authorization: 'Bearer wrong' })).status).toBe(401);
});

test('the open connections of its visits end with a web chat, on every server', async () => {
  const gone = await addWebChat(server);
  const { token } = await visit(server, { inboxKey: gone.publicKey });
  const socket = createClient({
    url: `${other.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    lazy: false,
    onNonLazyError: () => undefined,
  });
  try {
    const closed = new Promise((resolve) => socket.on('closed', resolve));
    await new Promise((resolve) => socket.on('connected', resolve));
    await ask(server, 'mutation ($id: ID!) { deleteInbox(input: { inboxId: $id }) { __typename } }', { id: gone.id });
    expect(await closed).toMatchObject({ code: 4401, reason: 'REVOKED' });
  } finally {
    await socket.dispose();
  }
});
