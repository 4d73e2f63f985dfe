import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import WebSocket from 'ws';
import type { App } from '../src/app.ts';
import { SessionCookie } from '../src/access/session-cookie.ts';
import { signToken } from '../src/access/signed-tokens.ts';
import { UnavailableError } from '../src/errors.ts';
import { decodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { ERRAND_ISSUER, OperatorSignIn } from '../src/operators/sign-in/sign-in.ts';
import { addOperator, addOrganization, firstOrganization, mintToken, addContact } from './harness/access.ts';
import { hasChromium, startBrowser } from './harness/browser.ts';
import { ask, type Target } from './harness/client.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { client, type OpenIdProvider, startOpenIdProvider } from './harness/openid-provider.ts';
import { startServer } from './harness/server.ts';
import { WebUser } from './harness/web-user.ts';

const database = useBootstrappedDatabase();
let provider: OpenIdProvider;
let app: App & { key: string };
let target: Target;
let organizationId: string;
let count = 0;

beforeAll(async () => {
  provider = await startOpenIdProvider();
  const { issuer } = provider;
  const oidc = { issuer, clientId: client.id, clientSecret: client.secret, allowedDomains: ['example.com'] };
  app = await startServer(database.url, { config: { oidc, visitLimitPerAddress: 0 } });
  provider.open(`${app.url}/sign-in/oidc/callback`);
  target = { url: app.url, key: app.key };
  organizationId = await firstOrganization(app.services);
});
afterAll(async () => {
  await app.close();
  await provider.close();
});

const { operator } = { operator: () => app.services.prisma.operator };
/** As before the first sign-in. */
const forgetEverybody = () =>
  operator().updateMany({ data: { identityIssuer: null, identitySubject: null, email: null } });
beforeEach(async () => {
  await forgetEverybody();
  const identity = { identityIssuer: 'https://elsewhere.example', identitySubject: 'the first admin' };
  await operator().create({
    data: { id: app.services.newId(), organizationId, name: 'The first', role: 'ADMIN', ...identity },
  });
});
afterEach(() => {
  provider.forge = null;
});

/** Somebody whom the provider knows. */
function somebody(claims: Record<string, unknown> = {}): string {
  count += 1;
  const who = `person-${count}`;
  provider.people.set(who, { email: `${who}@example.com`, email_verified: true, name: `Person ${count}`, ...claims });
  return who;
}

const isCallback = (url: string) => url.startsWith(`${app.url}/sign-in/oidc/callback`);

/** Goes to the provider and back, up to the address of ours to which the provider sends the browser. */
async function comeBack(
  who: string,
  { user = new WebUser(), from = `${app.url}/sign-in/oidc`, tamper = (url: URL) => url } = {},
): Promise<{ user: WebUser; callback: string }> {
  const begun = await user.ask(from);
  const login = await user.follow(tamper(new URL(begun.headers.get('location') ?? '')).href);
  const consent = await user.submit(login, { login: who, password: 'any' });
  const { url: callback } = await user.submit(consent, {}, isCallback);
  return { user, callback };
}

/** What the server answers to whoever comes back. */
async function arrive(user: WebUser, callback: string): Promise<[status: number, error: string | undefined]> {
  const response = await user.ask(callback);
  const { error } = response.status === 302 ? { error: undefined } : ((await response.json()) as { error: string });
  return [response.status, error];
}

async function signIn(who: string): Promise<WebUser> {
  const { user, callback } = await comeBack(who);
  expect(await arrive(user, callback)).toEqual([302, undefined]);
  return user;
}

const refused = (reason: string) => [403, expect.stringContaining(reason) as unknown];

interface Me {
  status: number;
  me: { name: string; email: string | null; role: string } | null;
}

const withHeader = { 'Content-Type': 'application/json', 'X-Parley-CSRF': '1' };

/** Who the server takes the browser for. */
async function whoIs(user: WebUser, headers: Record<string, string> = withHeader): Promise<Me> {
  const body = JSON.stringify({ query: '{ viewer { operator { name email role } } }' });
  const response = await user.ask(`${app.url}/graphql`, { method: 'POST', headers, body });
  const { data } = (await response.json()) as { data?: { viewer: { operator: Me['me'] } } };
  return { status: response.status, me: data?.viewer.operator ?? null };
}

/** How a WebSocket with the browser's cookies ends or begins: what it is told first, or the code of its closing. */
function openSocket(user: WebUser, origin: string | undefined): Promise<{ told: string; socket: WebSocket }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { Cookie: user.cookiesOf(app.url) },
      ...(origin !== undefined && { origin }),
    });
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('message', (data: Buffer) =>
      resolve({ told: (JSON.parse(String(data)) as { type: string }).type, socket }),
    );
    socket.on('close', (code) => resolve({ told: String(code), socket }));
    socket.on('error', (error) => resolve({ told: error.message, socket }));
  });
}

describe('signing in', () => {
  test('makes an operator of the role AGENT, and the same person comes back as the same operator', async () => {
    const who = somebody({ name: 'Ada', picture: 'https://example.com/ada.png' });
    const me = { name: 'Ada', email: `${who}@example.com`, role: 'AGENT' };
    expect(await whoIs(await signIn(who))).toEqual({ status: 200, me });
    // The name and the address are not who somebody is.
    provider.people.set(who, { email: 'another@example.com', email_verified: true, name: 'Mallory' });
    expect(await whoIs(await signIn(who))).toEqual({ status: 200, me });
    expect(await operator().count({ where: { identitySubject: who } })).toBe(1);
  });

  test('as somebody whom an admin has made before makes no other', async () => {
    const who = somebody();
    const { id } = await addOperator(target, {
      name: 'Invited',
      role: 'ADMIN',
      email: `${who.toUpperCase()}@example.com`,
    });
    expect((await whoIs(await signIn(who))).me).toMatchObject({ name: 'Invited', role: 'ADMIN' });
    // Another person with the same address does not become them.
    const twin = somebody({ email: `${who}@example.com`, name: 'Twin' });
    expect((await whoIs(await signIn(twin))).me).toEqual({ name: 'Twin', email: null, role: 'AGENT' });
    expect(id).toMatch(/^oper_/);
  });

  test.each(['was invited', 'has signed in under another identity'])(
    'with the address of somebody suspended who %s is refused, and makes no other',
    async (what) => {
      const who = somebody();
      const email = `${who}@example.com`;
      const { id } = await addOperator(target, { email });
      if (what !== 'was invited') await signIn(who);
      await ask(target, `mutation { suspendOperator(input: { operatorId: "${id}" }) { __typename } }`);
      const again = await comeBack(what === 'was invited' ? who : somebody({ email: email.toUpperCase() }));
      const before = await operator().count();
      expect(await arrive(again.user, again.callback)).toEqual(refused('suspended'));
      expect(await operator().count()).toBe(before);
      await ask(target, `mutation { reinstateOperator(input: { operatorId: "${id}" }) { __typename } }`);
      await signIn(who);
    },
  );

  test.each([
    ['null', null],
    ['too long', `https://example.com/${'x'.repeat(10_000)}`],
    ['no text', 1],
  ])('with a name and a picture that are %s does without them', async (_what, value) => {
    const who = somebody();
    const { user, callback } = await comeBack(who);
    const email = `${who}@example.com`;
    provider.forge = (claims) => ({ ...claims, email, email_verified: true, name: value, picture: value });
    expect(await arrive(user, callback)).toEqual([302, undefined]);
    expect((await whoIs(user)).me).toMatchObject({ email, name: email });
    const { avatarUrl } = await operator().findFirstOrThrow({ where: { identitySubject: who } });
    expect(avatarUrl).toBeNull();
  });

  test('for the first time of all takes the setup token, which makes an ADMIN once', async () => {
    await forgetEverybody();
    const [first, second] = [somebody(), somebody()];
    const { user, callback } = await comeBack(first);
    expect(await arrive(user, callback)).toEqual(refused('the link that the server printed'));
    const wrong = await comeBack(first, { from: `${app.url}/sign-in/oidc?setup=guessed` });
    expect(await arrive(wrong.user, wrong.callback)).toEqual(refused('the link that the server printed'));
    const from = app.setupLink ?? '';
    const right = await comeBack(first, { from });
    expect(await arrive(right.user, right.callback)).toEqual([302, undefined]);
    expect((await whoIs(right.user)).me?.role).toBe('ADMIN');
    const late = await comeBack(second, { from });
    expect(await arrive(late.user, late.callback)).toEqual([302, undefined]);
    expect((await whoIs(late.user)).me?.role).toBe('AGENT');
  });

  test('by two at once with the setup token makes one ADMIN', async () => {
    await forgetEverybody();
    const from = app.setupLink ?? '';
    const visits = await Promise.all([somebody(), somebody(), somebody()].map((who) => comeBack(who, { from })));
    await Promise.all(visits.map(({ user, callback }) => arrive(user, callback)));
    const roles = await Promise.all(visits.map(async ({ user }) => (await whoIs(user)).me?.role));
    expect(roles.sort()).toEqual(['ADMIN', 'AGENT', 'AGENT']);
  });

  test.each([
    ['an address that is not verified', { email_verified: false }, 'has not verified'],
    ['an address of which nobody says so', { email_verified: undefined }, 'has not verified'],
    ['no address', { email: undefined }, 'has not verified'],
    ['a domain that is not allowed', { email: 'ada@example.org' }, 'may not sign in'],
    ['a domain below an allowed one', { email: 'ada@evil.example.com' }, 'may not sign in'],
    ['a domain that ends in an allowed one', { email: 'ada@notexample.com' }, 'may not sign in'],
    ['two addresses in one', { email: 'ada@evil.org ada@example.com' }, 'may not sign in'],
  ])('with %s is refused', async (_what, claims, reason) => {
    const { user, callback } = await comeBack(somebody(claims));
    expect(await arrive(user, callback)).toEqual(refused(reason));
    expect((await whoIs(user)).status).toBe(401);
  });

  const wrong = 'did not confirm';
  test.each([
    ['issuer', { iss: 'https://evil.example' }],
    ['audience', { aud: 'somebody else' }],
    ['nonce', { nonce: 'another' }],
    ['time', { exp: 1_000_000_000 }],
  ])('with an ID token of a wrong %s is refused', async (_what, change) => {
    const { user, callback } = await comeBack(somebody());
    provider.forge = (claims) => ({ ...claims, ...change });
    expect(await arrive(user, callback)).toEqual(refused(wrong));
  });

  test('with an ID token that is signed anew and otherwise right is not refused, so the others are for what they say', async () => {
    const { user, callback } = await comeBack(somebody());
    provider.forge = (claims) => claims;
    expect(await arrive(user, callback)).toEqual([302, undefined]);
  });

  test('with the nonce of another errand is refused by what the real provider says', async () => {
    const tamper = (url: URL) => {
      url.searchParams.set('nonce', 'of-another');
      return url;
    };
    const { user, callback } = await comeBack(somebody(), { tamper });
    expect(await arrive(user, callback)).toEqual(refused(wrong));
  });

  test('with a code that was used before is refused', async () => {
    const { user, callback } = await comeBack(somebody());
    const cookies = user.cookiesOf(app.url);
    expect(await arrive(user, callback)).toEqual([302, undefined]);
    // The errand is over in this browser; somebody has kept its cookie.
    expect(await arrive(user, callback)).toEqual(refused('have not begun'));
    const response = await fetch(callback, { headers: { Cookie: cookies }, redirect: 'manual' });
    expect([response.status, await response.json()]).toEqual([403, { error: expect.stringContaining(wrong) }]);
  });

  test('in another browser than it was begun in is refused', async () => {
    const { callback } = await comeBack(somebody());
    expect(await arrive(new WebUser(), callback)).toEqual(refused('have not begun'));
    const other = new WebUser();
    await other.ask(`${app.url}/sign-in/oidc`);
    expect(await arrive(other, callback)).toEqual(refused(wrong));
  });
});

describe('a session', () => {
  test('is a cookie that scripts cannot read and other sites do not send', async () => {
    const { user, callback } = await comeBack(somebody());
    const response = await user.ask(callback);
    const cookie = response.headers.getSetCookie().find((each) => each.startsWith('parley-session=')) ?? '';
    expect(cookie).toMatch(/; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/);
    expect(response.headers.get('location')).toBe('/');
  });

  test('counts over HTTP only with the CSRF header, and from no other origin', async () => {
    const user = await signIn(somebody());
    const json = { 'Content-Type': 'application/json' };
    expect((await whoIs(user, json)).status).toBe(401);
    expect((await whoIs(user, { ...withHeader, Origin: 'https://evil.example' })).status).toBe(401);
    expect((await whoIs(user, { ...withHeader, Origin: app.url.replace('127.0.0.1', 'localhost') })).status).toBe(401);
    expect((await whoIs(user, { ...withHeader, Origin: app.url })).status).toBe(200);
    // Who names a credential is nobody else.
    expect((await whoIs(user, { ...withHeader, Authorization: 'Bearer wrong' })).status).toBe(401);
  });

  test('opens sockets only from exactly this origin', async () => {
    const user = await signIn(somebody());
    const opened = async (origin: string | undefined) => {
      const { told, socket } = await openSocket(user, origin);
      socket.terminate();
      return told;
    };
    expect(await opened(app.url)).toBe('connection_ack');
    expect(await opened(undefined)).toBe('4401');
    expect(await opened('https://evil.example')).toMatch(/403/);
    const { port } = new URL(app.url);
    for (const origin of [`http://localhost:${port}`, `https://127.0.0.1:${port}`, 'http://127.0.0.1:1']) {
      expect(await opened(origin)).toMatch(/403|4401/);
    }
  });

  test('holds nothing but a session: no key, no token of an end user', async () => {
    const contactId = await addContact(app.services, organizationId);
    for (const credential of [app.key, await mintToken(target, { contactId })]) {
      const body = JSON.stringify({ query: '{ viewer { kind } }' });
      const headers = { ...withHeader, Cookie: `parley-session=${credential}` };
      expect((await fetch(`${app.url}/graphql`, { method: 'POST', headers, body })).status).toBe(401);
    }
  });

  test('ends with the suspension of its operator, with its open sockets, and they cannot sign in again', async () => {
    const who = somebody();
    const user = await signIn(who);
    const { told, socket } = await openSocket(user, app.url);
    expect(told).toBe('connection_ack');
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const { operators } = await ask<{ operators: { nodes: { id: string; email: string | null }[] } }>(
      target,
      '{ operators(last: 5) { nodes { id email } } }',
    );
    const { id } = operators.nodes.find(({ email }) => email === `${who}@example.com`) ?? { id: '' };
    await ask(target, `mutation { suspendOperator(input: { operatorId: "${id}" }) { __typename } }`);
    expect(await closed).toBe(4401);
    expect((await whoIs(user)).status).toBe(401);
    const again = await comeBack(who);
    expect(await arrive(again.user, again.callback)).toEqual(refused('suspended'));
  });

  test('ends everywhere when its operator signs out, which takes the CSRF header', async () => {
    const who = somebody();
    const [here, there] = [await signIn(who), await signIn(who)];
    const out = (headers: Record<string, string>) => here.ask(`${app.url}/sign-out`, { method: 'POST', headers });
    expect((await out({})).status).toBe(403);
    expect((await whoIs(here)).status).toBe(200);
    expect((await out({ 'X-Parley-CSRF': '1' })).status).toBe(204);
    const { told, socket } = await openSocket(there, app.url);
    if (told === 'connection_ack') await new Promise((resolve) => socket.on('close', resolve));
    expect((await whoIs(there)).status).toBe(401);
    expect((await whoIs(here)).status).toBe(401);
  });
});

describe('the token of an operator', () => {
  const out = (key: string) =>
    fetch(`${app.url}/sign-out`, { method: 'POST', headers: { Authorization: `Bearer ${key}` } });

  test('ends by signing out, in every organization', async () => {
    const foreign = await addOrganization(app.services);
    for (const { key } of [target, foreign]) {
      const { key: token, id } = await addOperator({ url: app.url, key });
      expect((await out(token)).status).toBe(204);
      const { tokenGeneration } = await operator().findUniqueOrThrow({ where: { id: decodeId('Operator', id) ?? '' } });
      expect(tokenGeneration).toBe(1);
    }
  });

  test('of an operator who is gone signs nobody out', async () => {
    const { key, id } = await addOperator(target);
    await operator().delete({ where: { id: decodeId('Operator', id) ?? '' } });
    expect((await out(key)).status).toBe(403);
  });
});

test('over TLS both cookies are taken only from this host', async () => {
  const { issuer } = provider;
  const oidc = { issuer, clientId: client.id, clientSecret: client.secret, allowedDomains: ['example.com'] };
  const secure = await startServer(database.url, { config: { oidc, publicUrl: 'https://chat.example.com' } });
  const response = await fetch(`${secure.url}/sign-in/oidc`, { redirect: 'manual' });
  await secure.close();
  const attributes = /^__Host-parley-sign-in=[^;]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/;
  expect(response.headers.getSetCookie()).toEqual([expect.stringMatching(attributes)]);
  const session = new SessionCookie('https://chat.example.com').begin('a');
  expect(session).toBe('__Host-parley-session=a; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure');
});

test('is limited for each network address, beginning and finishing alike, on all servers together', async () => {
  const { issuer } = provider;
  const oidc = { issuer, clientId: client.id, clientSecret: client.secret, allowedDomains: ['example.com'] };
  const config = { oidc, visitLimitPerAddress: 4, trustedProxies: 1 };
  const servers = [await startServer(database.url, { config }), await startServer(database.url, { config })];
  const statuses = async (address: string, path: string, count: number) => {
    const got: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const headers = { 'X-Forwarded-For': address };
      const url = `${servers[index % 2]?.url ?? ''}/sign-in/oidc${path}`;
      const response = await fetch(url, { headers, redirect: 'manual' });
      got.push(response.status);
      if (response.status === 429) expect(response.headers.get('retry-after')).toMatch(/^[1-6]?\d$/);
    }
    return got;
  };
  expect(await statuses('10.0.0.1', '', 2)).toEqual([302, 302]);
  expect(await statuses('10.0.0.1', '/callback?code=1', 4)).toEqual([403, 403, 429, 429]);
  expect(await statuses('10.0.0.1', '', 1)).toEqual([429]);
  expect(await statuses('10.0.0.2', '', 1)).toEqual([302]);
  await Promise.all(servers.map((each) => each.close()));
});

test('who finishes has room while too many begin at a provider that does not answer', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const oidc = {
    issuer: `http://127.0.0.1:${port}`,
    clientId: 'a',
    clientSecret: 'b',
    allowedDomains: ['example.com'],
  };
  const services = { ...app.services, logger: createLogger({ level: 'silent' }) };
  const signIn = new OperatorSignIn(services, { organizationId, origin: app.url, provider: oidc });
  const claims = { state: 'a', nonce: 'b', verifier: 'c', knowsSetupToken: false };
  const expiresAt = new Date(Date.now() + 60_000);
  const errand = await signToken(app.services.pool, { issuer: ERRAND_ISSUER, organizationId, claims, expiresAt });
  const all = (work: () => Promise<unknown>) =>
    Array.from({ length: 21 }, () =>
      work().then(
        () => 'done',
        (error: unknown) => (error instanceof UnavailableError ? 'refused' : 'failed'),
      ),
    );
  const [begins, finishes] = [all(() => signIn.begin(null)), all(() => signIn.finish('?code=1', errand))];
  expect(await Promise.race(begins)).toBe('refused');
  expect(await Promise.race(finishes)).toBe('refused');
  silent.close();
  silent.closeAllConnections();
  for (const each of [begins, finishes]) {
    expect((await Promise.all(each)).sort()).toEqual([...Array<string>(20).fill('failed'), 'refused']);
  }
});

if (!hasChromium) console.log('Signing in is not tried out in a browser: there is no Chromium here.');

describe.skipIf(!hasChromium)('a real browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());

  test('signs in at the provider, works in GraphiQL as the operator, and shows scripts no session', async () => {
    const who = somebody({ name: 'Grace' });
    const page = await browser.newPage();
    await page.goto(`${app.url}/sign-in/oidc`);
    await page.fill('input[name=login]', who);
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await page.click('button[type=submit]');
    await page.waitForURL(`${app.url}/graphql`);
    const told = await page.evaluate(async () => {
      const query = '{ viewer { kind operator { name } } }';
      const headers = { 'Content-Type': 'application/json', 'X-Parley-CSRF': '1' };
      const response = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) });
      return { answer: (await response.json()) as unknown, cookies: document.cookie };
    });
    expect(told).toEqual({
      answer: { data: { viewer: { kind: 'OPERATOR', operator: { name: 'Grace' } } } },
      cookies: '',
    });
    await page.close();
  });
});
