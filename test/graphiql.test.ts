import { once } from 'node:events';
import { statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { SIGN_IN_PATH, signInFile } from '../src/access/local-sign-in.ts';
import { useBootstrappedDatabase } from './harness/database.ts';
import { useLocalServer } from './harness/graphiql.ts';
import { countRows } from './harness/rows.ts';
import { startServer } from './harness/server.ts';

const database = useBootstrappedDatabase();
const app = useLocalServer();

describe('the link that signs a browser in', () => {
  /** As any program can ask, which unlike `fetch` here says from where and for whom. */
  async function post(path: string, credential: string, headers: Record<string, string> = {}) {
    const asking = request(`${app.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${credential}`, ...headers },
    });
    asking.end(path === SIGN_IN_PATH ? undefined : '{"query":"{ viewer { kind } }"}');
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of answer) body += String(chunk);
    return { status: answer.statusCode, session: /"session":"([^"]+)"/.exec(body)?.[1] ?? '' };
  }

  const token = () => app.signInLink().split('#sign-in=')[1] ?? '';
  const strangers: [string, Record<string, string>][] = [
    ['through a proxy', { Forwarded: 'for=192.0.2.1' }],
    ['through a proxy that says it otherwise', { 'X-Forwarded-Proto': 'https' }],
    ['by a name that is not of this machine', { Host: 'evil.example:4000' }],
    ['from a page of another origin', { Origin: 'http://127.0.0.1:1' }],
  ];

  test('works once, for a session that lasts; another takes its place, which only this account can read', async () => {
    const first = token();
    const { session } = await post(SIGN_IN_PATH, first);
    expect((await post('/graphql', session)).status).toBe(200);
    expect((await post(SIGN_IN_PATH, first)).status).toBe(401);
    expect(token()).not.toBe(first);
    expect((await post(SIGN_IN_PATH, token())).status).toBe(200);
    expect(statSync(signInFile(app.dataDir)).mode & 0o777).toBe(0o600);
  });

  test('is not guessed, and merely to connect signs nobody in', async () => {
    expect((await post(SIGN_IN_PATH, 'guessed')).status).toBe(401);
    expect(
      (await fetch(`${app.url}/graphql`, { headers: { Accept: 'text/html' } })).headers.get('set-cookie'),
    ).toBeNull();
    expect((await post('/graphql', 'local_guessed')).status).toBe(401);
  });

  test.each(strangers)('is not good for whoever comes %s, nor is a session', async (_who, headers) => {
    expect((await post(SIGN_IN_PATH, token(), headers)).status).toBe(401);
    const { session } = await post(SIGN_IN_PATH, token());
    expect((await post('/graphql', session, headers)).status).toBe(401);
  });

  test('is not there with a database of its own', async () => {
    const brief = await startServer(database.url);
    await brief.close();
    expect(brief.signInLink).toBeNull();
  });
});

describe('a page of another origin', () => {
  const body = JSON.stringify({ query: 'mutation { createConversation(input: { action: NONE }) { __typename } }' });
  const asked = (init: RequestInit, path = '/graphql') => fetch(`${app.url}${path}`, { method: 'POST', body, ...init });

  test('finds no cookie that a browser would send for it', async () => {
    const html = await fetch(`${app.url}/graphql`, { headers: { Accept: 'text/html' } });
    expect(html.headers.get('Set-Cookie')).toBeNull();
    expect((await asked({ headers: { 'Content-Type': 'application/json' } })).status).toBe(401);
  });

  test.each([
    'text/plain',
    'text/plain; application/json',
    'TEXT/PLAIN;charset=utf-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
  ])('cannot send %s', async (type) => {
    const before = await countRows(app.services.pool);
    const response = await asked({ headers: { 'Content-Type': type } });
    expect(response.status).toBe(403);
    expect(await countRows(app.services.pool)).toEqual(before);
  });

  test('cannot send a body without a type, or ask by GET', async () => {
    const before = await countRows(app.services.pool);
    const untyped = await asked({ body: Buffer.from(body) });
    expect(untyped.status).toBe(403);
    const query = encodeURIComponent('{ viewer { kind } }');
    const get = await asked({ method: 'GET', body: null }, `/graphql?query=${query}`);
    expect(get.status).toBe(403);
    expect(await countRows(app.services.pool)).toEqual(before);
  });
});
