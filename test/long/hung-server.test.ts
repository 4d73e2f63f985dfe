import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createConversation, readMessage } from '../harness/commands.ts';
import { execute, useDatabase } from '../harness/database.ts';
import { usePrograms } from '../harness/process.ts';

const { url: DATABASE_URL } = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-tests-of-hung-servers';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-hung-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a server whose event loop hangs is ended after 15 s, says so, and others settle its replies', async () => {
  const module = join(folder, 'hanging.mjs');
  writeFileSync(
    module,
    `export default { name: 'hanging', parametersSchema: {}, async *reply() {
      yield { type: 'text-start' };
      yield { type: 'text-delta', text: 'So far.' };
      await new Promise((resolve) => setTimeout(resolve, 2000));
      for (;;);
    } }`,
  );
  const env = { DATABASE_URL, BOOTSTRAP_API_KEY: key, LEASE_SECONDS: '2', RUNTIME_MODULES: module };
  const [hung, other] = await Promise.all([programs.start(env), programs.start(env)]);
  await execute(DATABASE_URL, "UPDATE agent SET runtime = 'hanging'");
  const { reply } = await createConversation({ url: hung.url, key }, { message: { content: { text: 'Hello?' } } });
  const begun = performance.now();
  expect(await hung.exited).toBe('SIGKILL');
  expect(performance.now() - begun).toBeGreaterThan(15_000);
  expect(hung.stderr).toMatch(/"level":"fatal".*the event loop has not turned for 15 s: ending the process/);
  const read = () => readMessage({ url: other.url, key }, reply?.id ?? '');
  await expect.poll(async () => (await read()).status, { timeout: 20_000 }).toBe('ERROR');
  expect(await read()).toMatchObject({ text: 'So far.', errorDetail: expect.stringContaining('stopped working') });
});
