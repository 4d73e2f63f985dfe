import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../src/app.ts';
import { decodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { addContact, addKey, addOperator, firstOrganization, mintOperatorToken, mintToken } from './harness/access.ts';
import { addOrganization } from './harness/access.ts';
import { ask, graphql, subscribeWs, type Target } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { startServer, useServer } from './harness/server.ts';

const lines: string[] = [];
const logger = createLogger({ level: 'error', plain: false, destination: { write: (line) => lines.push(line) } });
const server = useServer({ logger });
let other: App;
let organizationId: string;
beforeAll(async () => {
  other = await startServer(server.databaseUrl);
  organizationId = await firstOrganization(server.services);
});
afterAll(() => other.close());

interface Outcome {
  __typename: string;
  detail?: string;
  issues?: { path: string[]; code: string }[];
  operator?: Record<string, unknown>;
}

/** What a mutation came to. */
async function run(target: Target, field: string, payload: string): Promise<Outcome> {
  // Nothing else is wrong with the input of those that only name an operator.
  const issues = /^(create|update)/.test(field) ? '... on InvalidInputError { issues { path code } }' : '';
  const { result } = await ask<{ result: Outcome }>(
    target,
    `mutation { result: ${field} { __typename ${payload} ... on UserError { detail } ${issues} } }`,
  );
  return result;
}

const manage = (target: Target, field: string, selection = 'id') =>
  run(target, field, `... on ${payloadOf(field)} { operator { ${selection} } }`);
const payloadOf = (field: string) => `${field.charAt(0).toUpperCase()}${field.slice(1).split('(', 1)[0] ?? ''}Payload`;

async function codeFor(target: Target): Promise<unknown> {
  const { errors } = await graphql(target, '{ viewer { kind } }');
  return errors?.[0]?.extensions?.code ?? 'ok';
}

describe('an operator', () => {
  test('is created, found, listed and changed', async () => {
    const all = 'id name email avatarUrl role availability suspendedAt';
    const created = await manage(
      server,
      'createOperator(input: { name: "  Robin ", email: "Robin@example.com", avatarUrl: "https://example.com/r.png" })',
      all,
    );
    expect(created.operator).toMatchObject({
      id: expect.stringMatching(/^oper_/),
      name: 'Robin',
      email: 'Robin@example.com',
      avatarUrl: 'https://example.com/r.png',
      role: 'AGENT',
      availability: 'OFFLINE',
      suspendedAt: null,
    });
    const { id } = created.operator ?? {};
    const found = await ask(
      server,
      `{ operator(id: "${String(id)}") { ${all} } node(id: "${String(id)}") { id } operators(last: 1) { nodes { id } } }`,
    );
    expect(found).toEqual({ operator: created.operator, node: { id }, operators: { nodes: [{ id }] } });
    const changed = await manage(
      server,
      `updateOperator(input: { operatorId: "${String(id)}", role: ADMIN, email: null })`,
      all,
    );
    expect(changed.operator).toEqual({ ...created.operator, role: 'ADMIN', email: null });
  });

  test.each([
    ['createOperator(input: { name: " " })', 'REQUIRED', ['name']],
    [`createOperator(input: { name: "${'x'.repeat(201)}" })`, 'TOO_LONG', ['name']],
    ['createOperator(input: { name: "Kim", email: "nobody" })', 'MALFORMED', ['email']],
    ['createOperator(input: { name: "Kim", email: "TAKEN@example.com" })', 'DUPLICATE', ['email']],
  ])('is refused: %s', async (field, code, path) => {
    if (code === 'DUPLICATE') await addOperator(server, { email: 'taken@example.com' });
    expect((await manage(server, field)).issues).toEqual([{ path, code }]);
  });

  test('says who they are, and whether they take conversations', async () => {
    const agent = await addOperator(server, { name: 'Sam' });
    const read = '{ viewer { kind scopes grants expiresAt contact { id } operator { id name availability } } }';
    expect(await ask(agent.target, read)).toMatchObject({
      viewer: {
        kind: 'OPERATOR',
        scopes: ['READ'],
        grants: [],
        expiresAt: expect.any(String),
        contact: null,
        operator: { id: agent.id, name: 'Sam', availability: 'OFFLINE' },
      },
    });
    await manage(agent.target, 'setAvailability(input: { availability: AWAY })');
    expect(await ask(agent.target, read)).toMatchObject({ viewer: { operator: { availability: 'AWAY' } } });
    const admin = await addOperator(server, { role: 'ADMIN' });
    expect(await ask(admin.target, '{ viewer { scopes } }')).toEqual({
      viewer: { scopes: ['READ', 'WRITE', 'ADMIN'] },
    });
    expect(await ask(server, '{ viewer { operator { id } } }')).toEqual({ viewer: { operator: null } });
  });

  test('of another organization is not there', async () => {
    const { id } = await addOperator(server);
    const foreign = await addOrganization(server.services);
    const target = { url: server.url, key: foreign.key };
    expect(await ask(target, `{ operator(id: "${id}") { id } node(id: "${id}") { id } }`)).toEqual({
      operator: null,
      node: null,
    });
    for (const field of ['updateOperator', 'suspendOperator', 'reinstateOperator', 'createOperatorToken']) {
      expect((await manage(target, `${field}(input: { operatorId: "${id}" })`)).__typename).toBe('NotFoundError');
    }
  });

  test('is made and given a token only by whoever may do all that an ADMIN may', async () => {
    const { id } = await addOperator(server);
    for (const scopes of [['admin'], ['read', 'write'], ['write', 'admin'], ['read', 'admin']]) {
      const { secret: key } = await addKey(server.services, { organizationId, scopes });
      const fields = [
        'createOperator(input: { name: "Me", role: ADMIN })',
        `createOperatorToken(input: { operatorId: "${id}" })`,
      ];
      for (const field of fields) {
        const { errors } = await graphql({ url: server.url, key }, `mutation { ${field} { __typename } }`);
        expect(errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
      }
    }
  });
});

describe('the token of an operator', () => {
  test('lives no longer than asked for, and no longer than the credential that issued it', async () => {
    const { id } = await addOperator(server);
    const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000);
    const { secret: key } = await addKey(server.services, { organizationId, expiresAt });
    const mint = (seconds: number) =>
      run(
        { url: server.url, key },
        `createOperatorToken(input: { operatorId: "${id}", expiresInSeconds: ${seconds} })`,
        '... on CreateOperatorTokenPayload { expiresAt }',
      );
    expect(await mint(3600)).toMatchObject({ expiresAt: expiresAt.toISOString() });
    expect((await mint(0)).issues).toEqual([{ path: ['expiresInSeconds'], code: 'OUT_OF_RANGE' }]);
    expect((await mint(86_401)).issues).toEqual([{ path: ['expiresInSeconds'], code: 'OUT_OF_RANGE' }]);
  });

  test('is refused when it was changed, or is of another organization', async () => {
    const { key } = await addOperator(server);
    const [head = '', claims = '', signature = ''] = key.split('.');
    const forged = (change: object) => {
      const given = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
      const body = Buffer.from(JSON.stringify({ ...given, ...change })).toString('base64url');
      return { url: server.url, key: `${head}.${body}.${signature}` };
    };
    const admin = await addOperator(server, { role: 'ADMIN' });
    expect(await codeFor(forged({ operator: decodeId('Operator', admin.id) }))).toBe('UNAUTHENTICATED');
    const foreign = await addOrganization(server.services);
    expect(await codeFor(forged({ org: foreign.id }))).toBe('UNAUTHENTICATED');
    expect(await codeFor({ url: server.url, key })).toBe('ok');
  });

  test.each<[string, object]>([
    ['a generation beyond all', { gen: 2 ** 40 }],
    ['an issuer of a generation beyond all', { by: [['00000000-0000-4000-8000-000000000000', 2 ** 40]] }],
    ['more issuers than a token has', { by: Array(21).fill(['00000000-0000-4000-8000-000000000000', 0]) }],
  ])('that nobody has signed is refused and no fault, also with %s', async (_what, change) => {
    const { key: operators } = await addOperator(server);
    const endUsers = await mintToken(server, { contactId: await addContact(server.services, organizationId) });
    for (const token of [operators, endUsers]) {
      const [head = '', claims = ''] = token.split('.');
      const given = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
      const body = Buffer.from(JSON.stringify({ ...given, ...change })).toString('base64url');
      const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${head}.${body}.x` };
      const request = { method: 'POST', headers, body: '{"query":"{ viewer { kind } }"}' };
      expect((await fetch(`${server.url}/graphql`, request)).status).toBe(401);
    }
    expect(lines).toEqual([]);
  });

  test('is not issued through more operators than a token may name', async () => {
    const admins = await Promise.all(Array.from({ length: 21 }, () => addOperator(server, { role: 'ADMIN' })));
    let target: Target = server;
    for (const { id } of admins.slice(0, 20)) target = { url: server.url, key: await mintOperatorToken(target, id) };
    expect(await codeFor(target)).toBe('ok');
    const contactId = await addContact(server.services, organizationId);
    expect(await codeFor({ url: server.url, key: await mintToken(target, { contactId }) })).toBe('ok');
    const refused = await run(target, `createOperatorToken(input: { operatorId: "${admins[20]?.id ?? ''}" })`, '');
    expect(refused.__typename).toBe('InvalidInputError');
  });

  test.each(['is suspended', 'has another role'])(
    'ends when its operator %s, on every server, and for good',
    async (what) => {
      const { id, target, key } = await addOperator(server);
      const there = { url: other.url, key };
      expect([await codeFor(target), await codeFor(there)]).toEqual(['ok', 'ok']);
      const field = what === 'is suspended' ? 'suspendOperator' : 'updateOperator';
      await manage(
        server,
        `${field}(input: { operatorId: "${id}" ${field === 'updateOperator' ? ', role: ADMIN' : ''} })`,
      );
      await sleep(1000);
      expect([await codeFor(target), await codeFor(there)]).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED']);
      if (what === 'is suspended') {
        const refused = await manage(server, `createOperatorToken(input: { operatorId: "${id}" })`);
        expect(refused.__typename).toBe('OperatorSuspendedError');
        await manage(server, `reinstateOperator(input: { operatorId: "${id}" })`);
        await sleep(1000);
      }
      expect(await codeFor(target)).toBe('UNAUTHENTICATED');
      expect(await codeFor({ url: server.url, key: await mintOperatorToken(server, id) })).toBe('ok');
    },
  );

  test('ends with its key, and with the operator who issued it, and so does what they have issued to end users', async () => {
    const { id, secret } = await addKey(server.services, { organizationId });
    const withKey = { url: server.url, key: secret };
    const agent = await addOperator(withKey);
    const admin = await addOperator(server, { role: 'ADMIN' });
    const { id: anotherId } = await addOperator(server);
    const another = { url: server.url, key: await mintOperatorToken(admin.target, anotherId) };
    const contactId = await addContact(server.services, organizationId);
    const endUser = { url: server.url, key: await mintToken(admin.target, { contactId }) };
    expect(await Promise.all([agent.target, another, endUser].map(codeFor))).toEqual(['ok', 'ok', 'ok']);
    await ask(server, `mutation { revokeApiKey(input: { apiKeyId: "${id}" }) { __typename } }`);
    await manage(server, `suspendOperator(input: { operatorId: "${admin.id}" })`);
    await sleep(1000);
    expect(await Promise.all([agent.target, another, endUser].map(codeFor))).toEqual([
      'UNAUTHENTICATED',
      'UNAUTHENTICATED',
      'UNAUTHENTICATED',
    ]);
  });

  test('has its open sockets closed within a second when its operator is suspended, on every server', async () => {
    const { id, key } = await addOperator(server);
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const closings = [server.url, other.url].map(async (url) => {
      const stream = subscribeWs(
        { url, key },
        `subscription { conversationEvents(conversationId: "${conversation.id}") { __typename } }`,
      );
      return {
        closed: stream.next().then(
          () => null,
          (error: unknown) => Object(error) as { code?: number },
        ),
      };
    });
    const streams = await Promise.all(closings);
    await manage(server, `suspendOperator(input: { operatorId: "${id}" })`);
    for (const { closed } of streams) expect(await Promise.race([closed, sleep(2000)])).toMatchObject({ code: 4401 });
  });
});

test('what an operator does is logged as theirs', async () => {
  const { id, target } = await addOperator(server, { name: 'Noor', role: 'ADMIN' });
  const { conversation } = await createConversation(target, { title: 'By Noor', action: 'NONE' });
  const { organizationEvents } = await ask<{ organizationEvents: { nodes: { event: { conversationId: string } }[] } }>(
    server,
    `{ organizationEvents(first: 100) { nodes { event { conversationId
      ... on VersionedEvent { actor { __typename ... on OperatorActor { name operator { id } } } } } } } }`,
  );
  expect(organizationEvents.nodes.filter(({ event }) => event.conversationId === conversation.id)).toEqual([
    {
      event: {
        conversationId: conversation.id,
        actor: { __typename: 'OperatorActor', name: 'Noor', operator: { id } },
      },
    },
  ]);
});
