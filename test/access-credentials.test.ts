import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decodeId } from '../src/ids.ts';
import {
  addContact,
  addKey,
  addOrganization,
  firstOrganization,
  mintToken,
  type Organization,
} from './harness/access.ts';
import { ask, graphql, subscribeSse, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { conversationEvents, conversationEventsQuery } from './harness/events.ts';
import { record } from './harness/recording.ts';
import { useServer } from './harness/server.ts';

const server = useServer({ config: { rateLimitPerContact: 0 } });

let organizationId: string;
let contactId: string;
let other: Organization;
let conversationId: string;
let beginning: string;

const as = (key: string): Target => ({ url: server.url, key });
const revoke = (id: string) => ask(server, `mutation { revokeApiKey(input: { apiKeyId: "${id}" }) { __typename } }`);

beforeAll(async () => {
  const { services } = server;
  organizationId = await firstOrganization(services);
  contactId = await addContact(services, organizationId);
  other = await addOrganization(services);
  const { conversation, cursor } = await createConversation(server, { contactId, action: 'NONE' });
  conversationId = conversation.id;
  beginning = cursor;
});

async function codeFor(key: string): Promise<[number, unknown]> {
  const { status, errors } = await graphql(server, '{ viewer { kind } }', {}, { key });
  return [status, errors?.[0]?.extensions?.code];
}

const refused = [401, 'UNAUTHENTICATED'];

/** The key that an organization's tokens are signed with. */
async function secretOf(id: string): Promise<Uint8Array> {
  const { tokenSecret } = await server.services.prisma.organization.findUniqueOrThrow({ where: { id } });
  return new TextEncoder().encode(tokenSecret ?? '');
}

describe('a client token is refused', () => {
  const forge = (claims: object, secret: Uint8Array, alg = 'HS256') =>
    new SignJWT({ ...claims }).setProtectedHeader({ alg, typ: 'JWT' }).sign(secret);

  async function genuine() {
    const token = await mintToken(server, { contactId });
    expect(await codeFor(token)).toEqual([200, undefined]);
    const otherToken = await mintToken(as(other.key), { contactId: other.contactId });
    return { token, claims: decodeJwt(token), otherToken, secret: await secretOf(organizationId) };
  }

  test('unsigned', async () => {
    const { token, claims } = await genuine();
    const unsecured = new UnsecuredJWT(claims).encode();
    for (const forged of [unsecured, `${unsecured}${token.split('.')[2] ?? ''}`, token.replace(/[^.]+$/, 'AAAA')]) {
      expect(await codeFor(forged)).toEqual(refused);
    }
  });

  test('signed with another secret, an empty one, or another organization’s', async () => {
    const { claims } = await genuine();
    for (const secret of ['guess', organizationId].map((text) => new TextEncoder().encode(text.padEnd(32, '.')))) {
      expect(await codeFor(await forge(claims, secret))).toEqual(refused);
    }
    expect(await codeFor(await forge(claims, await secretOf(other.id)))).toEqual(refused);
  });

  test('signed by another algorithm', async () => {
    const { claims, secret } = await genuine();
    const long = new Uint8Array(64);
    long.set(secret.subarray(0, 64));
    expect(await codeFor(await forge(claims, long, 'HS512'))).toEqual(refused);
  });

  test('with claims changed under the signature', async () => {
    const { token, claims, otherToken } = await genuine();
    const [header, , signature] = token.split('.');
    const changes = [
      { exp: (claims.exp ?? 0) + 1 },
      { contact: decodeId('Contact', other.contactId) },
      { org: other.id },
      { key: undefined },
      { conversation: decodeId('Conversation', conversationId), contact: undefined },
    ];
    for (const change of changes) {
      const payload = Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url');
      expect(await codeFor(`${header ?? ''}.${payload}.${signature ?? ''}`)).toEqual(refused);
    }
    expect(await codeFor(`${token.split('.').slice(0, 2).join('.')}.${otherToken.split('.')[2] ?? ''}`)).toEqual(
      refused,
    );
  });

  test('with a right signature of its own organization over a person, conversation or key of another', async () => {
    const { claims } = await genuine();
    const { iss, iat, exp, contact, key } = claims as Record<string, unknown>;
    const secret = await secretOf(other.id);
    const theirs = { iss, iat, exp, org: other.id };
    const foreign = { conversation: decodeId('Conversation', conversationId) };
    for (const claim of [{ contact }, foreign, { contact: decodeId('Contact', other.contactId), key }, {}]) {
      expect(await codeFor(await forge({ ...theirs, ...claim }, secret))).toEqual(refused);
    }
  });

  test('of another issuer, without an end, or before its time', async () => {
    const { claims, secret } = await genuine();
    const now = Math.floor(Date.now() / 1000);
    for (const change of [{ iss: 'other' }, { exp: undefined }, { exp: 'never' }, { nbf: now + 60 }]) {
      expect(await codeFor(await forge({ ...claims, ...change }, secret))).toEqual(refused);
    }
  });

  test('expired, with a code of its own, but only when it was genuine', async () => {
    const { claims, secret } = await genuine();
    const expired = { ...claims, exp: Math.floor(Date.now() / 1000) - 1 };
    expect(await codeFor(await forge(expired, secret))).toEqual([401, 'TOKEN_EXPIRED']);
    expect(await codeFor(await forge(expired, await secretOf(other.id)))).toEqual(refused);
  });

  test('once its conversation is deleted', async () => {
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const token = await mintToken(server, { conversationId: conversation.id });
    await ask(
      server,
      `mutation { deleteConversation(input: { conversationId: "${conversation.id}" }) { __typename } }`,
    );
    expect(await codeFor(token)).toEqual(refused);
  });
});

describe('a key', () => {
  const create = `mutation ($scopes: [KeyScope!], $expiresAt: DateTime) {
    createApiKey(input: { name: "More", scopes: $scopes, expiresAt: $expiresAt }) {
      __typename ... on InvalidInputError { issues { path } } ... on CreateApiKeyPayload { apiKey { scopes } }
    }
  }`;

  test('makes no key that may do more than itself', async () => {
    const { secret } = await addKey(server.services, { organizationId, scopes: ['admin'] });
    const tries = [['WRITE'], ['ADMIN', 'READ'], undefined];
    for (const scopes of tries) {
      const { createApiKey } = await ask<{ createApiKey: unknown }>(as(secret), create, { scopes });
      expect([scopes, createApiKey]).toMatchObject([scopes, { __typename: 'InvalidInputError' }]);
    }
    expect(await ask(as(secret), create, { scopes: ['ADMIN'] })).toMatchObject({
      createApiKey: { apiKey: { scopes: ['ADMIN'] } },
    });
  });

  test.each([[['read']], [['admin']], [['read', 'admin']]])('of the scopes %j mints no tokens', async (scopes) => {
    const { secret } = await addKey(server.services, { organizationId, scopes });
    const mint = `mutation { createClientToken(input: { for: { contactId: "${contactId}" } }) { __typename } }`;
    const { errors, data } = await graphql(as(secret), mint);
    expect(errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    expect(data).toEqual({ createClientToken: null });
  });

  test('lends its tokens no longer a life than its own', async () => {
    const expiresAt = new Date(Date.now() + 30_000);
    const { secret } = await addKey(server.services, { organizationId, expiresAt });
    const token = await mintToken(as(secret), { contactId, expiresInSeconds: 3600 });
    expect((decodeJwt(token).exp ?? Infinity) * 1000).toBeLessThanOrEqual(expiresAt.getTime());
  });
});

/** Of a token that expires while a connection is open: long enough for all that comes before, on a slow machine. */
const LIFE_SECONDS = 5;

/** With which code a socket was closed on which a conversation is followed. */
function closing(key: string): { closed: Promise<number>; following: Promise<void> } {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const say = (message: object) => socket.send(JSON.stringify(message));
  socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } }));
  const payload = { query: conversationEventsQuery, variables: { conversationId, after: beginning } };
  const following = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const { type } = JSON.parse(data.toString()) as { type: string };
      if (type === 'connection_ack') say({ id: '1', type: 'subscribe', payload });
      if (type === 'next') resolve();
    });
  });
  return { closed: new Promise((resolve) => socket.on('close', resolve)), following };
}

// Side by side, since most of them wait until a token expires.
describe.concurrent('an open connection', () => {
  beforeAll(() => send(server, { conversationId, content: { text: 'Hello' }, action: 'NONE' }));

  test('is closed with 4440, and a stream ended, when its token expires', async () => {
    const key = await mintToken(server, { contactId, expiresInSeconds: LIFE_SECONDS });
    const { closed, following } = closing(key);
    const sse = record(conversationEvents(as(key), { conversationId, after: beginning }, subscribeSse));
    await Promise.all([following, sse.until((events) => events.length > 0)]);
    expect(await closed).toBe(4440);
    await expect(sse.ended()).rejects.toThrow('TOKEN_EXPIRED');
    expect(await codeFor(key)).toEqual([401, 'TOKEN_EXPIRED']);
    expect(await closing(key).closed).toBe(4440);
  });

  test('of one token goes on when that of another token of the same person, which is told the same, has ended', async () => {
    const { conversation, cursor } = await createConversation(server, { contactId, action: 'NONE' });
    const [short, long] = await Promise.all([
      mintToken(server, { contactId, expiresInSeconds: LIFE_SECONDS }),
      mintToken(server, { contactId }),
    ]);
    const follow = (key: string) =>
      record(conversationEvents(as(key), { conversationId: conversation.id, after: cursor }, subscribeWs));
    const say = (text: string) => send(server, { conversationId: conversation.id, content: { text }, action: 'NONE' });
    const ending = follow(short);
    await say('one');
    await ending.until((events) => events.length === 1);
    const lasting = follow(long);
    await lasting.until((events) => events.length === 1);
    await say('two');
    await Promise.all([ending, lasting].map((each) => each.until((events) => events.length === 2)));
    await expect(ending.ended()).rejects.toBeDefined();
    await say('three');
    await lasting.until((events) => events.length === 3);
    await lasting.leave();
    expect(ending.events).toHaveLength(2);
  });

  test('is closed with 4401, and a stream ended, when its key is revoked, those of its tokens too', async () => {
    const { id, secret } = await addKey(server.services, { organizationId });
    const token = await mintToken(as(secret), { contactId });
    const sockets = [secret, token].map(closing);
    const streams = [secret, token].map((key) =>
      record(conversationEvents(as(key), { conversationId, after: beginning }, subscribeSse)),
    );
    await Promise.all([
      ...sockets.map(({ following }) => following),
      ...streams.map((stream) => stream.until((events) => events.length > 0)),
    ]);
    await revoke(id);
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([4401, 4401]);
    for (const stream of streams) await expect(stream.ended()).rejects.toThrow('UNAUTHENTICATED');
  });

  test('does nothing more for a revoked key, though its peer does not heed the closing', async () => {
    const { id, secret } = await addKey(server.services, { organizationId });
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const say = (message: object) => socket.send(JSON.stringify(message));
    const acknowledged = new Promise((resolve) => socket.once('message', resolve));
    socket.on('open', () => say({ type: 'connection_init', payload: { authorization: `Bearer ${secret}` } }));
    await acknowledged;
    socket.pause();
    const revoked = closing(secret);
    await revoked.following;
    await revoke(id);
    await revoked.closed;
    const query = `mutation { deleteConversation(input: { conversationId: "${conversation.id}" }) { __typename } }`;
    say({ id: '1', type: 'subscribe', payload: { query } });
    // A later request of another connection, answered, shows that there was time.
    const deadline = Date.now() + 2000;
    let found: unknown = {};
    while (found !== null && Date.now() < deadline) {
      const read = `{ conversation(id: "${conversation.id}") { id } }`;
      found = (await ask<{ conversation: unknown }>(server, read)).conversation;
    }
    socket.terminate();
    expect(found).not.toBeNull();
  });

  test.each([
    ['WebSocket', subscribeWs],
    ['SSE', subscribeSse],
  ])('over %s is renewed with a new token from its cursor, and misses nothing', async (_transport, subscribe) => {
    const { conversation, cursor } = await createConversation(server, { contactId, action: 'NONE' });
    const id = conversation.id;
    const say = (text: string) => send(server, { conversationId: id, content: { text }, action: 'NONE' });
    const short = await mintToken(server, { contactId, expiresInSeconds: LIFE_SECONDS });
    const first = record(conversationEvents(as(short), { conversationId: id, after: cursor }, subscribe));
    await say('one');
    await first.until((events) => events.length === 1);
    await expect(first.ended()).rejects.toBeDefined();
    await say('two');
    const after = first.events.at(-1)?.cursor ?? '';
    const token = await mintToken(server, { contactId });
    const second = record(conversationEvents(as(token), { conversationId: id, after }, subscribe));
    await say('three');
    await second.until((events) => events.length === 2);
    await second.leave();
    const texts = [...first.events, ...second.events].map((event) =>
      'message' in event && 'text' in event.message ? event.message.text : '',
    );
    expect(texts).toEqual(['one', 'two', 'three']);
  });
});
