import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { StartupError } from '../src/errors.ts';
import { createLogger } from '../src/logger.ts';
import { createDatabase, useDatabase } from './harness/database.ts';
import { usePrograms } from './harness/process.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const database = useDatabase();
const programs = usePrograms();

let taken: Server;
let takenPort: number;
beforeAll(async () => {
  taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  takenPort = typeof address === 'object' ? (address?.port ?? 0) : 0;
});
afterAll(() => taken.close());

const missing = () => {
  const url = new URL(database.url);
  url.pathname = '/no_such_database';
  return url.href;
};

type Case = [what: string, env: () => Record<string, string>, lines: RegExp[]];

describe('a start that cannot succeed says why in a few lines, without a stack trace or a secret', () => {
  function expectFewLines(said: string, lines: RegExp[]): void {
    for (const line of lines) expect(said).toMatch(line);
    expect(said.trimEnd().split('\n').length).toBeLessThanOrEqual(5);
    expect(said).not.toMatch(/\n\s+at |node_modules|\.ts:\d|hunter2/);
  }

  test.each<Case>([
    [
      'settings that are wrong, all named together',
      () => ({
        PORT: 'http',
        LEASE_SECONDS: '0',
        BOOTSTRAP_API_KEY: 'hunter2',
        DATABASE_URL: 'mysql://me:hunter2@db/x',
      }),
      [/PORT is "http"/, /LEASE_SECONDS is "0"/, /BOOTSTRAP_API_KEY is too short/, /DATABASE_URL does not begin with/],
    ],
    [
      'a port that is in use',
      () => ({ DATABASE_URL: database.url, PORT: String(takenPort) }),
      [/^Port \d+ on 127\.0\.0\.1 is in use\. .*PORT/],
    ],
  ])('and exits with 1: %s', async (_case, env, lines) => {
    const program = programs.spawn({ LOG_LEVEL: 'error', ...env() });
    expect(await program.exited).toBe(1);
    expectFewLines(program.stderr, lines);
    expect(program.stdout).toBe('');
  });

  // Of such an error the program writes the message, and exits as above.
  test.each<Case>([
    [
      'an address that is not of this machine',
      () => ({ DATABASE_URL: database.url, HOST: '192.0.2.1' }),
      [/^Cannot listen on 192\.0\.2\.1.* Check HOST/],
    ],
    [
      'a database that nobody serves',
      () => ({ DATABASE_URL: 'postgres://me:hunter2@127.0.0.1:1/parley' }),
      [/^Cannot connect to the database parley at 127\.0\.0\.1:1: .*\. Check DATABASE_URL/],
    ],
    [
      'a database that does not exist',
      () => ({ DATABASE_URL: missing() }),
      [/^Cannot connect to the database no_such_database .*does not exist.*Check DATABASE_URL/],
    ],
    [
      'an event bus that nobody serves',
      () => ({ DATABASE_URL: database.url, EVENTS_URL: 'redis://:hunter2@127.0.0.1:1' }),
      [/127\.0\.0\.1:1/, /EVENTS_URL/],
    ],
  ])('%s', async (_case, env, lines) => {
    const logged: string[] = [];
    const logger = createLogger({ level: 'error', destination: { write: (line) => void logged.push(line) } });
    const starting = startApp(readConfig({ PORT: '0', ...env() }), logger);
    const error: unknown = await starting.catch((thrown: unknown) => thrown);
    if (!(error instanceof StartupError)) throw new Error('It is no StartupError.');
    expectFewLines(error.message, lines);
    expect(logged).toEqual([]);
  });
});

test('a start that succeeds says where it listens, and the key once', async () => {
  const empty = await createDatabase();
  onTestFinished(() => empty.drop());
  const folder = createTemporaryFolder();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // Files of another database would be told of.
  const env = { DATABASE_URL: empty.url, LOG_LEVEL: 'warn', DATA_DIR: folder };
  const first = await programs.start(env);
  expect(first.stdout).toContain(`${first.url}/graphql`);
  const key = /parley_\S{20,}/.exec(first.stdout)?.[0];
  expect(key).toBeDefined();
  const query = { method: 'POST', body: '{"query":"{ viewer { kind } }"}' };
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${key ?? ''}` };
  expect((await fetch(`${first.url}/graphql`, { ...query, headers })).status).toBe(200);
  expect(await (await fetch(`${first.url}/ready`)).json()).toEqual({ status: 'ready' });
  // A slow machine may be told of.
  expect(first.stderr.replace(/^.*the event loop was busy.*\n/gm, '')).toBe('');
  expect(await first.kill('SIGTERM')).toBe(0);

  const second = await programs.start(env);
  expect(second.stdout).not.toMatch(/parley_/);
  expect((await fetch(`${second.url}/graphql`, { ...query, headers })).status).toBe(200);
});
