import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasChromium, startBrowser } from './harness/browser.ts';
import { ask } from './harness/client.ts';
import { useServer } from './harness/server.ts';
import { addWebChat, type WebChat } from './harness/visits.ts';

const server = useServer();

if (!hasChromium) console.log('The page of docs/web-chat.md is not tried out: there is no Chromium here.');

/** Serves the page of docs/web-chat.md from an origin of its own. */
async function servePage(inboxKey: () => string): Promise<{ site: Server; origin: string }> {
  const docs = readFileSync(join(import.meta.dirname, '..', 'docs', 'web-chat.md'), 'utf8');
  const page = /```html\n([^]*?)```/.exec(docs)?.[1] ?? '';
  const site = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end(page.replace('http://127.0.0.1:4000', server.url).replace('web_…', inboxKey()));
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  return { site, origin: `http://127.0.0.1:${(site.address() as AddressInfo).port}` };
}

describe.skipIf(!hasChromium)('the page of docs/web-chat.md', () => {
  let browser: Browser;
  let site: Server;
  let origin: string;
  let chat: WebChat;
  beforeAll(async () => {
    ({ site, origin } = await servePage(() => chat.publicKey));
    chat = await addWebChat(server, { allowedOrigins: [origin] });
    browser = await startBrowser();
  }, 30_000);
  afterAll(async () => {
    await browser.close();
    await new Promise((resolve) => site.close(resolve));
  });

  const open = async (context: BrowserContext, from = origin) => {
    const page = await context.newPage();
    await page.goto(from);
    return page;
  };

  test('starts a visit from another origin, shows the answer as it comes, and again after a reload', async () => {
    const context = await browser.newContext();
    const page = await open(context);
    await page.locator('input').fill('What is Parley?');
    await page.getByRole('button').click();
    const lines = page.locator('main p');
    await expect.poll(() => lines.count(), { timeout: 15_000 }).toBe(2);
    expect(await lines.first().textContent()).toBe('What is Parley?');
    const answered = async () =>
      (
        await ask<{ conversations: { nodes: { lastMessage: { status: string; text: string } }[] } }>(
          server,
          'query ($id: ID!) { conversations(filter: { inboxId: $id }) { nodes { lastMessage { status text } } } }',
          { id: chat.id },
        )
      ).conversations.nodes[0]?.lastMessage;
    await expect.poll(async () => (await answered())?.status, { timeout: 15_000 }).toBe('DONE');
    const text = (await answered())?.text;
    await expect.poll(() => lines.last().textContent()).toBe(text);
    await page.reload();
    await expect.poll(() => lines.allTextContents()).toEqual(['What is Parley?', text]);
    // A second tab is the same visitor, and goes on in the same conversation.
    const second = await open(context);
    await expect.poll(() => second.locator('main p').count()).toBe(2);
    await second.locator('input').fill('Thank you');
    await second.getByRole('button').click();
    await expect.poll(() => lines.allTextContents()).toContain('Thank you');
    await context.close();
  });

  test('gets nowhere from an origin that the inbox does not list', async () => {
    const context = await browser.newContext();
    const refused: string[] = [];
    const page = await context.newPage();
    page.on('pageerror', (error) => refused.push(error.message));
    await page.goto(origin.replace('127.0.0.1', 'localhost'));
    await expect.poll(() => refused).toEqual(['Failed to fetch']);
    await context.close();
  });
});
