import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createConversation } from '../harness/commands.ts';
import { execute, useDatabase } from '../harness/database.ts';
import { usePrograms } from '../harness/process.ts';

const { url: DATABASE_URL } = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-tests-of-faults';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-faults-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test(
  'a request that leaves faults behind or takes the event loop for a while ends nobody: it is logged, with what ran',
  { timeout: 90_000 },
  async () => {
    const module = join(folder, 'faulty.mjs');
    writeFileSync(
      module,
      `export default { name: 'faulty', parametersSchema: {}, async *reply() {
        void Promise.reject(new Error('left alone'));
        setTimeout(() => { throw new Error('thrown to nobody'); });
        const end = performance.now() + 2500;
        while (performance.now() < end);
        yield { type: 'text-start' };
        yield { type: 'text-delta', text: 'Well.' };
        yield { type: 'text-end' };
        yield { type: 'finish' };
      } }`,
    );
    const env = {
      DATABASE_URL,
      BOOTSTRAP_API_KEY: key,
      LOG_LEVEL: 'warn',
      LEASE_SECONDS: '2',
      RUNTIME_MODULES: module,
    };
    const program = await programs.start(env);
    await execute(DATABASE_URL, "UPDATE agent SET runtime = 'faulty'");
    const { reply } = await createConversation(
      { url: program.url, key },
      { message: { content: { text: 'Hello?' } }, awaitReply: true },
    );
    expect(reply).toMatchObject({ status: 'DONE', text: 'Well.' });
    await expect.poll(() => program.stderr, { timeout: 10_000 }).toContain('the event loop was busy');
    expect(program.stderr).toMatch(/left alone.*a rejected promise was not handled/);
    expect(program.stderr).toMatch(/thrown to nobody.*an exception was not caught/);
    expect(program.stderr).toMatch(/a reply of the runtime faulty/);
    expect((await fetch(`${program.url}/ready`)).status).toBe(200);
  },
);
