import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/observability.ts';
import { hasChromium, startBrowser } from './harness/browser.ts';
import { createConversation, send } from './harness/commands.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

if (!hasChromium) console.log('There is no Chromium here, so nobody looked at the GraphiQL page.');

describe.skipIf(!hasChromium)('the GraphiQL page of the embedded default', () => {
  const key = 'key-of-the-graphiql-tests';
  const dataDir = createTemporaryFolder();
  let app: App;
  let browser: Browser;
  beforeAll(async () => {
    const config = readConfig({ PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, GRACE_SECONDS: '0' });
    [app, browser] = await Promise.all([startApp(config, createLogger({ level: 'silent' })), startBrowser()]);
  });
  afterAll(async () => {
    await browser.close();
    await app.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test('opens', async () => {
    const page = await browser.newPage();
    await page.goto(`${app.url}/graphql`);
    await page.waitForSelector('.graphiql-container');
    await page.waitForTimeout(5000);
    await page.screenshot({ path: join(tmpdir(), 'parley-graphiql.png') });
    console.log(await page.evaluate(() => document.body.innerHTML.replace(/<style[\s\S]*?<\/style>/g, '').slice(0, 12000)));
  });
});
