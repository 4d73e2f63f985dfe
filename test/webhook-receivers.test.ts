import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { keyOf, newSecret, signedHeaders } from '../src/webhooks/sending/signature.ts';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs', 'webhooks.md'), 'utf8');
const ending: (() => void)[] = [];
afterAll(() => ending.forEach((end) => end()));

/** The block of code in that language on the page about webhooks. */
function codeOf(language: string): string {
  const [, code] = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(page) ?? [];
  if (code === undefined) throw new Error(`The page has no ${language}.`);
  return code;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

test.each([
  // In this folder, so that it finds the library.
  ['js', process.execPath, join(root, 'test', `.receiver-${process.pid}.mjs`)],
  ['python', 'python3', join(root, 'test', `.receiver-${process.pid}.py`)],
])('the receiver in %s takes what is signed once, and nothing else', async (language, program, file) => {
  writeFileSync(file, codeOf(language));
  const [secret, port] = [newSecret(), await freePort()];
  const env = { PATH: process.env['PATH'] ?? '', WEBHOOK_SECRET: secret, PORT: String(port) };
  const child = spawn(program, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, complaint] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  ending.push(() => {
    child.kill('SIGKILL');
    rmSync(file, { force: true });
  });
  const body = JSON.stringify({ type: 'message.created', timestamp: '2026-01-31T12:00:00.000Z', data: { version: 2 } });
  const headersOf = (id: string, age = 0) =>
    signedHeaders(id, Math.floor(Date.now() / 1000) - age, body, [newSecret(), secret].map(keyOf));
  const post = async (headers: Record<string, string>, sent = body): Promise<number> => {
    for (;;) {
      try {
        return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: sent })).status;
      } catch (error) {
        if (child.exitCode !== null) throw new Error(complaint, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  expect(await post(headersOf('one'))).toBe(204);
  expect(await post(headersOf('one'))).toBe(204);
  expect(await post(headersOf('two'), body.replace('2', '3'))).toBe(400);
  expect(await post(headersOf('three', 3600))).toBe(400);
  expect(await post({ ...headersOf('four'), 'webhook-id': 'five' })).toBe(400);
  expect(await post(headersOf('six'))).toBe(204);
  await expect.poll(() => said.match(/message\.created/g)).toHaveLength(2);
});
