import { rmSync } from 'node:fs';
import type { Page, Response } from 'playwright-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import { hasChromium } from '../harness/browser.ts';
import { createConversation, send } from '../harness/commands.ts';
import { response, run, runAtOnce, tab, useGraphiqlPages, useLocalServer } from '../harness/graphiql.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const app = useLocalServer();

if (!hasChromium) console.log('The GraphiQL page is not tried out: there is no Chromium here.');

describe.skipIf(!hasChromium)('the GraphiQL page', () => {
  const pages = useGraphiqlPages(app);

  describe('opened for the first time', () => {
    let page: Page;
    beforeAll(async () => {
      ({ page } = await pages.open());
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
      await runAtOnce(page, name);
      await response(page).getByText(expected).first().waitFor();
      expect(await page.locator('.graphiql-tab-active').innerText()).toBe(name);
    });

    test.each(['VisitorAsks', 'Answer', 'VisitorSees'])('runs %s as the first of all', async (name) => {
      const { page: fresh } = await pages.open();
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

  describe('opened by whoever is signed in', () => {
    let page: Page;
    beforeAll(async () => {
      ({ page } = await pages.open());
    });

    test('offers its examples, and runs them at the first click and without being given a key', async () => {
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
      await runAtOnce(page, 'Send');
      await response(page).getByText('SendMessagePayload').waitFor();
      // Also after it was loaded again.
      await page.goto(`${app.url}/graphql`);
      // It adds an empty tab then.
      await tab(page, 'Start');
      await run(page);
      await response(page).getByText('CreateConversationPayload').waitFor();
      await response(page).getByText('IN_PROGRESS').waitFor();
    });

    test('says how to sign in when it is not', async () => {
      await page.evaluate(() => localStorage.clear());
      await page.goto(`${app.url}/graphql`);
      await page.getByText('npm run sign-in').waitFor();
    });
  });

  test('shows the deltas of a subscription that was typed in, and asks no other host for anything', async () => {
    const { page, requests } = await pages.open();
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

test('there is no link that signs a browser in in production', async () => {
  const folder = createTemporaryFolder();
  const env = { PORT: '0', DATA_DIR: folder, GRACE_SECONDS: '0', NODE_ENV: 'production', INTROSPECTION: 'on' };
  const brief = await startApp(readConfig(env), createLogger({ level: 'silent' }));
  await brief.close();
  rmSync(folder, { recursive: true, force: true });
  expect(brief.signInLink).toBeNull();
});
