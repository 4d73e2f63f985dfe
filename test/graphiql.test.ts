import { once } from 'node:events';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import type { Browser, Page, Response } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SIGN_IN_PATH, signInFile } from '../src/access/local-sign-in.ts';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/logger.ts';
import { hasChromium, startBrowser } from './harness/browser.ts';
import { createConversation, send } from './harness/commands.ts';
import { useDatabase } from './harness/database.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const key = 'key-of-the-graphiql-tests';
const database = useDatabase();
const dataDir = createTemporaryFolder();
/** The embedded default, where pages on this machine sign themselves in. */
let app: Omit<App, 'signInLink'> & { key: string; signInLink: () => string };
beforeAll(async () => {
  const config = readConfig({ PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, GRACE_SECONDS: '0' });
  const started = await startApp(config, createLogger({ level: 'silent' }));
  // The next one, as `npm run sign-in` prints it.
  app = { ...started, key, signInLink: () => readFileSync(signInFile(dataDir), 'utf8').trim() };
});
afterAll(async () => {
  await app.close();
  rmSync(dataDir, { recursive: true, force: true });
});

if (!hasChromium) console.log('The GraphiQL page is not tried out: there is no Chromium here.');

describe.skipIf(!hasChromium)('the GraphiQL page', () => {
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
    await page.goto(app.signInLink());
    await page.locator('.graphiql-tab').first().waitFor();
    return { page, requests };
  }

  const response = (page: Page) => page.locator('.result-window');

  const tab = (page: Page, name: string) =>
    page.locator('.graphiql-tab-button', { hasText: new RegExp(`^\\s*${name}\\s*$`) }).click();
  const run = (page: Page) => page.getByRole('button', { name: /^Execute query/ }).click();

  test('offers its examples, and runs one without being given a key', async () => {
    const { page } = await open();
    expect(await page.locator('.graphiql-tab-button').allTextContents()).toEqual([
      'Start',
      'Follow',
      'Send',
      'Reply',
      'Read',
      'Person',
      'Visit',
      'VisitorAsks',
      'Answer',
      'VisitorSees',
    ]);
    await run(page);
    await response(page).getByText('CreateConversationPayload').waitFor();
    await response(page).getByText('IN_PROGRESS').waitFor();
    // Also after it was loaded again.
    await page.goto(`${app.url}/graphql`);
    // It adds an empty tab then.
    await tab(page, 'Start');
    await run(page);
    await response(page).getByText('IN_PROGRESS').waitFor();
  });

  describe('opened for the first time', () => {
    let page: Page;
    beforeAll(async () => {
      ({ page } = await open());
    });

    // The window shows the last event: a slow browser has the end before it is looked at.
    const toldOfReply = /FragmentDelta|MessageCompleted/;
    test.each<[string, string | RegExp]>([
      ['Follow', toldOfReply],
      ['Send', 'SendMessagePayload'],
      ['Reply', toldOfReply],
      ['Read', 'messageCount'],
      ['Person', 'expiresAt'],
      ['Visit', 'anonymous'],
      ['VisitorAsks', 'HANDED_OFF'],
      ['Answer', 'I am here to help.'],
      ['VisitorSees', 'I am here to help.'],
    ])('has an example, %s, that works at the first click, with no id carried by hand', async (name, expected) => {
      // As fast as can be.
      await page.evaluate((opened) => {
        const tabs = [...document.querySelectorAll<HTMLElement>('.graphiql-tab-button')];
        tabs.find(({ innerText }) => innerText === opened)?.click();
        document.querySelector<HTMLElement>('.graphiql-execute-button')?.click();
      }, name);
      await response(page).getByText(expected).first().waitFor();
      expect(await page.locator('.graphiql-tab-active').innerText()).toBe(name);
    });

    test.each(['VisitorAsks', 'Answer', 'VisitorSees'])('runs %s as the first of all', async (name) => {
      const { page: fresh } = await open();
      await tab(fresh, name);
      await run(fresh);
      await response(fresh)
        .getByText(/HANDED_OFF|I am here to help|ConversationCreated|MessageCreated/)
        .first()
        .waitFor();
      await fresh.close();
    });

    test('cuts no line of its examples off in a window of 1,280 pixels', async () => {
      await page.setViewportSize({ width: 1280, height: 800 });
      for (const name of await page.locator('.graphiql-tab-button').allTextContents()) {
        await tab(page, name);
        const lengths = (await page.locator('.graphiql-query-editor .view-line').allInnerTexts()).map(
          (line) => line.length,
        );
        expect(Math.max(...lengths), name).toBeLessThan(51);
      }
    });
  });

  test('says how to sign in when it is not', async () => {
    const page = await browser.newPage();
    await page.goto(`${app.url}/graphql`);
    await page.getByText('npm run sign-in').waitFor();
  });

  test('shows the deltas of a subscription that was typed in, and asks no other host for anything', async () => {
    const { page, requests } = await open();
    const { conversation, cursor } = await createConversation(app, { action: 'NONE' });
    await page.getByRole('button', { name: 'New tab' }).click();
    const events = `conversationEvents(conversationId: "${conversation.id}", after: "${cursor}")`;
    const typed = async () => {
      await page.locator('.graphiql-query-editor .view-lines').click();
      await page.keyboard.press('ControlOrMeta+A');
      // In one line: the editor would help with more.
      await page.keyboard.insertText(`subscription { ${events} { __typename ... on FragmentDelta { text } } }`);
      const isStream = (answer: Response) => answer.headers()['content-type'] === 'text/event-stream';
      const subscribed = page.waitForResponse(isStream, { timeout: 3000 });
      await page.keyboard.press('ControlOrMeta+Enter');
      await subscribed;
    };
    // What is typed before the editor of the tab is there is lost.
    await vi.waitFor(typed, { timeout: 60_000, interval: 500 });

    const content = { text: 'How do I stop a reply?' };
    await send(app, { conversationId: conversation.id, content, runtimeParameters: { wordsPerSecond: 2 } });
    await response(page).getByText('FragmentDelta').first().waitFor();
    await response(page).getByText('"text"').first().waitFor();

    const hosts = new Set(requests.filter((url) => !/^(data|blob):/.test(url)).map((url) => new URL(url).host));
    expect([...hosts]).toEqual([new URL(app.url).host]);
  });
});

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
    expect(statSync(signInFile(dataDir)).mode & 0o777).toBe(0o600);
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

  test('is not there in production, nor with a database of its own', async () => {
    const links = await Promise.all(
      [{ NODE_ENV: 'production', INTROSPECTION: 'on' }, { DATABASE_URL: database.url }].map(async (env) => {
        const folder = createTemporaryFolder();
        const brief = await startApp(
          readConfig({ PORT: '0', DATA_DIR: folder, GRACE_SECONDS: '0', ...env }),
          createLogger({ level: 'silent' }),
        );
        await brief.close();
        rmSync(folder, { recursive: true, force: true });
        return brief.signInLink;
      }),
    );
    expect(links).toEqual([null, null]);
  });
});
