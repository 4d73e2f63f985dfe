import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/logger.ts';
import { hasChromium, startBrowser } from './harness/browser.ts';
import { upgradeStatus } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const key = 'key-of-the-graphiql-tests';
const dataDir = createTemporaryFolder();
/** The embedded default, where pages on this machine sign themselves in. */
let app: App & { key: string };
beforeAll(async () => {
  const config = readConfig({ PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, GRACE_SECONDS: '0' });
  app = { ...(await startApp(config, createLogger({ level: 'silent' }))), key };
});
afterAll(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true, force: true });
});

if (!hasChromium) console.log('The GraphiQL page is not tried out: there is no Chromium here.');

describe.skipIf(!hasChromium)('the GraphiQL page', { timeout: 60_000 }, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());

  /** A page that has been opened for the first time, with all that it has asked for. */
  async function open(): Promise<{ page: Page; requests: string[] }> {
    const page = await browser.newPage();
    const requests: string[] = [];
    page.on('request', (made) => requests.push(made.url()));
    page.on('websocket', (socket) => requests.push(socket.url()));
    await page.goto(`${app.url}/graphql`);
    await page.locator('.graphiql-tab').first().waitFor();
    return { page, requests };
  }

  const response = (page: Page) => page.locator('.result-window');

  test('offers its examples, and runs one without being given a key', async () => {
    const { page } = await open();
    expect(await page.locator('.graphiql-tab-button').allTextContents()).toEqual([
      'Start',
      'Follow',
      'Send',
      'Reply',
      'Read',
    ]);
    await page.getByRole('button', { name: /^Execute query/ }).click();
    await response(page).getByText('CreateConversationPayload').waitFor();
    await response(page).getByText('IN_PROGRESS').waitFor();
  });

  test('shows the deltas of a subscription that was typed in, and asks no other host for anything', async () => {
    const { page, requests } = await open();
    const frames: string[] = [];
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => frames.push(String(payload))));
    const { conversation, cursor } = await createConversation(app, { action: 'NONE' });
    await page.getByRole('button', { name: 'New tab' }).click();
    await page.locator('.graphiql-query-editor .view-lines').click();
    await page.keyboard.press('ControlOrMeta+A');
    // In one line: the editor would help with more.
    const events = `conversationEvents(conversationId: "${conversation.id}", after: "${cursor}")`;
    await page.keyboard.insertText(`subscription { ${events} { __typename ... on FragmentDelta { text } } }`);
    await page.keyboard.press('ControlOrMeta+Enter');
    await expect.poll(() => frames, { timeout: 10_000 }).toContainEqual(expect.stringContaining('connection_ack'));

    const content = { text: 'How do I stop a reply?' };
    await send(app, { conversationId: conversation.id, content, runtimeParameters: { wordsPerSecond: 10 } });
    await response(page).getByText('FragmentDelta').first().waitFor();
    await response(page).getByText('"text"').first().waitFor();
    const screenshot = join(tmpdir(), 'parley-graphiql.png');
    await page.screenshot({ path: screenshot });
    const told = frames.filter((frame) => frame.includes('FragmentDelta')).join('\n');
    expect(told).toContain('Stop');

    const hosts = new Set(requests.filter((url) => !/^(data|blob):/.test(url)).map((url) => new URL(url).host));
    expect([...hosts]).toEqual([new URL(app.url).host]);
    expect(requests.filter((url) => url.startsWith('ws:'))).not.toEqual([]);
  });
});

describe('a page that signs itself in', () => {
  const port = () => new URL(app.url).port;

  /** As a browser would ask, which unlike `fetch` here says from where and for whom. */
  async function ask(headers: Record<string, string>, method = 'POST'): Promise<IncomingMessage> {
    const asking = request(`${app.url}/graphql`, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
    });
    asking.end(method === 'POST' ? '{"query":"{ viewer { kind } }"}' : undefined);
    const [answer] = (await once(asking, 'response')) as [IncomingMessage];
    answer.resume();
    return answer;
  }

  async function cookieFor(headers: Record<string, string> = {}): Promise<string> {
    const { headers: given } = await ask({ Accept: 'text/html', ...headers }, 'GET');
    return given['set-cookie']?.join() ?? '';
  }

  test('does so by a cookie that scripts cannot read and other sites do not get', async () => {
    const cookie = await cookieFor();
    expect(cookie).toMatch(/; HttpOnly/);
    expect(cookie).toMatch(/; SameSite=Strict/);
    expect((await ask({ Cookie: cookie.split(';')[0] ?? '' })).statusCode).toBe(200);
    expect((await ask({})).statusCode).toBe(401);
    expect((await ask({ Cookie: 'parley_local=guessed' })).statusCode).toBe(401);
  });

  test('is one of this server alone: neither its cookie nor the door is for others', async () => {
    const [cookie = ''] = (await cookieFor()).split(';');
    const origin = `http://127.0.0.1:${port()}`;
    const status = async (headers: Record<string, string>) => (await ask({ Cookie: cookie, ...headers })).statusCode;
    expect(await status({ Origin: origin })).toBe(200);
    expect(await status({ Origin: 'http://127.0.0.1:1' })).toBe(401);
    expect(await status({ Origin: 'https://evil.example' })).toBe(401);
    expect(await status({ Host: `evil.example:${port()}` })).toBe(401);
    expect(await cookieFor({ Host: `evil.example:${port()}` })).toBe('');
    expect(await upgradeStatus(app, { Cookie: cookie, Origin: 'https://evil.example' })).toBe(403);
  });
});
