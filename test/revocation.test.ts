import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Credentials } from '../src/access/credentials.ts';
import type { Queryable } from '../src/db.ts';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import { addContact, addKey, firstOrganization, mintToken } from './harness/access.ts';
import { ask, graphql, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { startServer, useServer } from './harness/server.ts';

const runtime = new ScriptedRuntime();
const server = useServer({ runtimes: [runtime] });
let other: App;
let agentId: string;
let organizationId: string;

beforeAll(async () => {
  other = await startServer(server.databaseUrl, { runtimes: [runtime] });
  organizationId = await firstOrganization(server.services);
  agentId = await createAgent(server.services, 'scripted');
});
afterAll(() => other.close());

const revoke = (id: string) => ask(server, `mutation { revokeApiKey(input: { apiKeyId: "${id}" }) { __typename } }`);

async function codeFor(target: Target): Promise<unknown> {
  const { errors } = await graphql(target, '{ viewer { kind } }');
  return errors?.[0]?.extensions?.code;
}

/** A key, and a token that it has minted, both used on both servers, which therefore know them. */
async function usedCredentials(): Promise<{ id: string; secret: string; targets: Target[] }> {
  const { id, secret } = await addKey(server.services, { organizationId });
  const contactId = await addContact(server.services, organizationId);
  const token = await mintToken({ url: server.url, key: secret }, { contactId });
  const targets = [server.url, other.url].flatMap((url) => [secret, token].map((key) => ({ url, key })));
  expect(await Promise.all(targets.map(codeFor))).toEqual([undefined, undefined, undefined, undefined]);
  return { id, secret, targets };
}

describe('a revoked key, and a token that it minted', () => {
  test('is refused at once on the server that was told, and at once on others where that is heard', async () => {
    const { id, targets } = await usedCredentials();
    const uuid = decodeId('ApiKey', id);
    const heard = new Promise<void>((resolve) => {
      other.services.bus.subscribe({
        onHint: (hint) => hint.kind === 'revoked' && hint.keyId === uuid && resolve(),
        onReconnect: () => undefined,
      });
    });
    await revoke(id);
    expect(await Promise.all(targets.slice(0, 2).map(codeFor))).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
    await heard;
    expect(await Promise.all(targets.slice(2).map(codeFor))).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
  });

  test('is refused within a second where nobody has told', async () => {
    const { id, targets } = await usedCredentials();
    await server.services.prisma.apiKey.update({
      where: { id: decodeId('ApiKey', id) ?? '' },
      data: { revokedAt: new Date() },
    });
    await sleep(1000);
    expect(new Set(await Promise.all(targets.map(codeFor)))).toEqual(new Set(['UNAUTHENTICATED']));
  });

  test.each(['the same server', 'another one'])(
    'has nothing more delivered to a request that waits for its reply on %s',
    async (where) => {
      const { id, secret } = await usedCredentials();
      const target = { url: where === 'another one' ? other.url : server.url, key: secret };
      const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
      const text = `A question on ${where}?`;
      const wait = (alias: string, asked: string) => `${alias}: sendMessage(input: {
        conversationId: "${conversation.id}", content: { text: "${asked}" }, awaitReply: true, onBusy: INTERRUPT
      }) { __typename }`;
      const waiting = graphql<unknown>(target, `mutation { ${wait('one', text)} ${wait('two', 'Another one?')} }`);
      const script = await runtime.replyTo(text);
      await script.begin('A secret');
      await revoke(id);
      const { data, errors, status } = await waiting;
      expect([status, data]).toEqual([401, { one: null, two: null }]);
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
      // What the operation would have done after that is not done.
      const { messageCount } = await server.services.prisma.conversation.findUniqueOrThrow({
        where: { id: decodeId('Conversation', conversation.id) ?? '' },
      });
      expect(messageCount).toBe(2);
      await script.end();
    },
  );

  test('that expires ends a request that waits for its reply', async () => {
    const { conversation } = await createConversation(server, { agentId, action: 'NONE' });
    const { secret } = await addKey(server.services, { organizationId, expiresAt: new Date(Date.now() + 2000) });
    const query = `mutation { sendMessage(input: {
      conversationId: "${conversation.id}", content: { text: "Shortly?" }, awaitReply: true
    }) { __typename } }`;
    const { status, errors } = await graphql({ url: server.url, key: secret }, query);
    expect([status, errors?.[0]?.extensions?.code]).toEqual([401, 'TOKEN_EXPIRED']);
    await (await runtime.replyTo('Shortly?')).end();
  });
});

describe('what is remembered of credentials', () => {
  const holder = { id: 'a key', organizationId: 'an organization', name: 'A key', scopes: ['read'], expiresAt: null };

  /** A database that knows one key, and counts how often it is asked. */
  function counting() {
    const query = vi.fn((_query: { values?: unknown[] }) => Promise.resolve({ rows: known ? [holder] : [] }));
    let known = true;
    return { query, credentials: new Credentials({ query } as unknown as Queryable), forget: () => (known = false) };
  }

  test('saves asking again for a second, and asking twice at once', async () => {
    const { query, credentials } = counting();
    await Promise.all(Array.from({ length: 5 }, () => credentials.holderOf('a secret')));
    expect(await credentials.holderOf('a secret')).toMatchObject({ keyId: 'a key' });
    expect(query).toHaveBeenCalledTimes(1);
  });

  test('is counted from before the question, however slow the answer', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const { query, credentials } = counting();
      query.mockImplementationOnce(() => {
        vi.advanceTimersByTime(900);
        return Promise.resolve({ rows: [holder] });
      });
      await credentials.holderOf('a secret');
      vi.advanceTimersByTime(99);
      await credentials.holderOf('a secret');
      expect(query).toHaveBeenCalledTimes(1);
      vi.advanceTimersByTime(1);
      await credentials.holderOf('a secret');
      expect(query).toHaveBeenCalledTimes(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test('is not pushed out by a stranger with any number of wrong keys', async () => {
    const { query, credentials, forget } = counting();
    await credentials.holderOf('a secret');
    forget();
    for (let guess = 0; guess < 20_000; guess += 1) await credentials.holderOf(`guess ${guess}`);
    const asked = query.mock.calls.length;
    expect(asked).toBe(20_001);
    vi.spyOn(performance, 'now').mockReturnValue(0);
    expect(await credentials.holderOf('a secret')).toMatchObject({ keyId: 'a key' });
    expect(query.mock.calls.length).toBe(asked);
    vi.restoreAllMocks();
  });
});

test('a locked row of a key holds up no request of it, and its use is written once it is free', async () => {
  const { id, secret } = await addKey(server.services, { organizationId });
  const uuid = decodeId('ApiKey', id) ?? '';
  const locked = await server.services.pool.connect();
  const lastUsedAt = async () =>
    (await server.services.prisma.apiKey.findUniqueOrThrow({ where: { id: uuid } })).lastUsedAt;
  try {
    await locked.query('BEGIN');
    await locked.query('SELECT FROM api_key WHERE id = $1 FOR UPDATE', [uuid]);
    expect(await codeFor({ url: server.url, key: secret })).toBeUndefined();
    // Another key's use is written beside it.
    const { id: free, secret: another } = await addKey(server.services, { organizationId });
    expect(await codeFor({ url: server.url, key: another })).toBeUndefined();
    const used = () =>
      server.services.prisma.apiKey.findUniqueOrThrow({ where: { id: decodeId('ApiKey', free) ?? '' } });
    await expect.poll(async () => (await used()).lastUsedAt, { timeout: 5000 }).toBeInstanceOf(Date);
    expect(await lastUsedAt()).toBeNull();
  } finally {
    await locked.query('ROLLBACK');
    locked.release();
  }
  await expect
    .poll(async () => [await codeFor({ url: server.url, key: secret }), await lastUsedAt()], { timeout: 5000 })
    .toEqual([undefined, expect.any(Date)]);
});

test('a bootstrap key may have the form of a token', async () => {
  const payload = Buffer.from(JSON.stringify({ iss: 'somebody', sub: 'else' })).toString('base64url');
  for (const secret of ['bootstrap.with.two-dots', `eyJhbGciOiJIUzI1NiJ9.${payload}.c2lnbmF0dXJl`]) {
    const { id } = await addKey(server.services, { organizationId });
    const { hashCredential } = await import('../src/access/api-keys.ts');
    await server.services.prisma.apiKey.update({
      where: { id: decodeId('ApiKey', id) ?? '' },
      data: { secretHash: hashCredential(secret) },
    });
    expect(await codeFor({ url: server.url, key: secret })).toBeUndefined();
  }
});
