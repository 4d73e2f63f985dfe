import { readFileSync, rmSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { signInFile } from '../../src/access/local-sign-in.ts';
import { type App, startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import { startBrowser } from './browser.ts';
import type { Target } from './client.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

const key = 'key-of-the-graphiql-tests';

/** A server by the embedded default, where pages on this machine sign themselves in. */
export interface LocalServer extends Target {
  readonly dataDir: string;
  readonly services: App['services'];
  /** The next one, as `npm run sign-in` prints it. */
  signInLink(): string;
}

/** Such a server for the tests of this file. */
export function useLocalServer(): LocalServer {
  const dataDir = createTemporaryFolder();
  let app: App | undefined;
  const started = () => {
    if (!app) throw new Error('The server of useLocalServer() exists only while tests and their hooks run.');
    return app;
  };
  beforeAll(async () => {
    const config = readConfig({ PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, GRACE_SECONDS: '0' });
    app = await startApp(config, createLogger({ level: 'silent' }));
  });
  afterAll(async () => {
    await app?.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    key,
    dataDir,
    get url() {
      return started().url;
    },
    get services() {
      return started().services;
    },
    signInLink: () => readFileSync(signInFile(dataDir), 'utf8').trim(),
  };
}

export interface GraphiqlPages {
  /** A page that has been opened for the first time, with all that it has asked for. */
  open(): Promise<{ page: Page; requests: string[] }>;
}

/** The pages of GraphiQL in one browser, for the tests of this suite. */
export function useGraphiqlPages(server: LocalServer): GraphiqlPages {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());
  return {
    async open() {
      const page = await browser.newPage();
      const requests: string[] = [];
      page.on('request', (made) => requests.push(made.url()));
      page.on('websocket', (socket) => requests.push(socket.url()));
      await page.goto(server.signInLink());
      await page.locator('.graphiql-tab').first().waitFor();
      return { page, requests };
    },
  };
}

export const response = (page: Page) => page.locator('.result-window');

export const tab = (page: Page, name: string) =>
  page.locator('.graphiql-tab-button', { hasText: new RegExp(`^\\s*${name}\\s*$`) }).click();

export const run = (page: Page) => page.getByRole('button', { name: /^Execute query/ }).click();

/** Opens a tab and runs it, as fast as can be. */
export async function runAtOnce(page: Page, name: string): Promise<void> {
  await page.evaluate((opened) => {
    const tabs = [...document.querySelectorAll<HTMLElement>('.graphiql-tab-button')];
    tabs.find(({ innerText }) => innerText === opened)?.click();
    document.querySelector<HTMLElement>('.graphiql-execute-button')?.click();
  }, name);
}
