import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { loadRuntimes } from '../src/agents/load-runtimes.ts';
import { RuntimeError } from '../src/agents/runtime.ts';
import { StartupError } from '../src/errors.ts';
import { ask } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { execute, FIRST_KEY, useBootstrappedDatabase } from './harness/database.ts';
import { ModelServer } from './harness/model-server.ts';
import { usePrograms } from './harness/process.ts';
import { createLogger } from '../src/logger.ts';

const logger = createLogger({ level: 'silent' });

const database = useBootstrappedDatabase();
// A runtime is written in TypeScript there. Not tsx, which would read all of the program too.
const programs = usePrograms({ args: () => ['--import', './bench/load-plainly.mjs', inject('program')] });
const service = new ModelServer();
let folder: string;

beforeAll(async () => {
  await service.start();
  folder = mkdtempSync(join(tmpdir(), 'parley-modules-'));
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

function moduleOf(name: string, code: string): string {
  const path = join(folder, name);
  writeFileSync(path, code);
  return path;
}

const runtime = (name: string) =>
  `{ name: ${JSON.stringify(name)}, parametersSchema: { type: 'object' }, async *reply() { yield { type: 'finish' } } }`;

test('the real program answers by the runtime of a module', { timeout: 90_000 }, async () => {
  const key = FIRST_KEY;
  const { url } = await programs.start({
    DATABASE_URL: database.url,
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'error',
    RUNTIME_MODULES: `./examples/remote-agent.ts, ${moduleOf('mine.mjs', `export default [${runtime('mine')}]`)}`,
    REMOTE_AGENT_URL: service.url,
  });
  await execute(
    database.url,
    'UPDATE agent SET runtime = \'remote\', default_runtime_parameters = \'{"tone": "warm"}\'',
  );
  const { agents } = await ask<{ agents: { nodes: { id: string }[] } }>(
    { url, key },
    '{ agents(first: 1) { nodes { id } } }',
  );
  service.answer((response) => {
    response.write('Good ');
    response.end('day.');
  });
  const { reply } = await createConversation(
    { url, key },
    { agentId: agents.nodes[0]?.id, message: { content: { text: 'Hello?' } }, awaitReply: true },
  );
  expect(reply).toMatchObject({ status: 'DONE', text: 'Good day.' });
  expect(service.requests[0]?.body).toMatchObject({
    history: [{ role: 'USER', text: 'Hello?' }],
    parameters: { tone: 'warm' },
  });
  // The tools of an agent have secrets.
  expect(service.requests[0]?.body).not.toHaveProperty('tools');
});

test('the real program says which module it cannot use, in one line', async () => {
  const program = programs.spawn({
    DATABASE_URL: database.url,
    RUNTIME_MODULES: './no-such-runtime.ts',
    LOG_LEVEL: 'error',
  });
  expect(await program.exited).toBe(1);
  expect(program.stderr.trim()).toMatch(/^Cannot load \.\/no-such-runtime\.ts of RUNTIME_MODULES: .*\.$/);
});

describe('modules with runtimes', () => {
  test('may have one or several, and are loaded in their order', async () => {
    const one = moduleOf('one.mjs', `export default ${runtime('one')}`);
    const several = moduleOf('several.mjs', `export default [${runtime('two')}, ${runtime('three')}]`);
    expect((await loadRuntimes([several, one], logger)).map(({ name }) => name)).toEqual(['two', 'three', 'one']);
    expect(await loadRuntimes([], logger)).toEqual([]);
  });

  test.each<[string, string | null, RegExp]>([
    ['that there is not', null, /missing\.mjs of RUNTIME_MODULES: /],
    ['that is broken', 'throw new Error("no disk\\nsecond line")', /: no disk\.$/],
    ['that is no program', 'export default {', /RUNTIME_MODULES: /],
    ['without a default export', `export const runtime = ${runtime('x')}`, /default export is no runtime/],
    ['with an empty list', 'export default []', /default export is no runtime/],
    ['with something else in it', `export default [${runtime('x')}, 7]`, /default export is no runtime/],
    ['without a reply', `export default { name: 'x', parametersSchema: {} }`, /default export is no runtime/],
    ['without a name', `export default { parametersSchema: {}, reply() {} }`, /default export is no runtime/],
    [
      'with a schema that is none',
      `export default { name: 'x', parametersSchema: { type: 7 }, reply() {} }`,
      /the parametersSchema of x cannot be used: Is not a JSON Schema/,
    ],
    ['that takes a name that is taken', `export default ${runtime('model')}`, /already a runtime named model/],
    ['that has a name twice', `export default [${runtime('y')}, ${runtime('y')}]`, /already a runtime named y/],
  ])('are refused: one %s', async (_case, code, reason) => {
    const path = code === null ? join(folder, 'missing.mjs') : moduleOf(`${_case.replaceAll(' ', '-')}.mjs`, code);
    const error: unknown = await loadRuntimes([path], logger).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StartupError);
    expect(error).toMatchObject({ message: expect.stringMatching(reason) });
    expect(String(error)).not.toContain('\n');
  });

  test('by the name of a package that is not installed are refused too', async () => {
    await expect(loadRuntimes(['@nobody/has-this'], logger)).rejects.toThrow(
      /Cannot load @nobody\/has-this of RUNTIME_MODULES: /,
    );
  });
});

test('an error by the name of RuntimeError is one, whoever made its class', () => {
  class RuntimeErrorOfAnother extends Error {
    override name = 'RuntimeError';
  }
  expect(new RuntimeErrorOfAnother('x') instanceof RuntimeError).toBe(true);
  expect(new RuntimeError('x')).toBeInstanceOf(RuntimeError);
  expect(new Error('x') instanceof RuntimeError).toBe(false);
  expect({ name: 'RuntimeError' } instanceof RuntimeError).toBe(false);
});
