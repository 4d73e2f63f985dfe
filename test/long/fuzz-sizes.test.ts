import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { mintToken } from '../harness/access.ts';
import { ask, type Target } from '../harness/client.ts';
import { createConversation, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { bomb, Dice, OperationMaker } from '../harness/fuzz.ts';
import { usePrograms } from '../harness/process.ts';

const seed = Number(process.env.FUZZ_SEED ?? 20_261_129);
const [REQUESTS, LANES] = [Number(process.env.FUZZ_REQUESTS ?? 10_000), 4];
const WARM_UP = 2_000;
/** In MiB. */
const MOST_GROWTH = 150;
const KEY = 'key-of-the-fuzz-of-sizes';
const MiB = 1024 * 1024;
const database = useDatabase();
// On this signal the server collects its garbage, of which it may leave 300 MiB for later when it is told nothing.
const COLLECT = 'SIGUSR2';
const collector = `data:text/javascript,process.on('${COLLECT}',()=>gc())`;
const programs = usePrograms({ args: () => ['--expose-gc', '--import', collector, inject('program')] });

/** A request made to be large: in lists, strings, depth, names, or in what it asks for. */
function large(dice: Dice, ids: { conversation: string; message: string }): object {
  const sized = () => dice.of([1_000, 20_000, 100_000]);
  const aliases = (field: string) =>
    Array.from({ length: dice.of([19, 100, 450]) }, (_, i) => `a${i}: ${field}`).join(' ');
  return dice.of<() => object>([
    () => ({
      query: 'query ($id: ID!, $v: [MessageRole!]) { conversation(id: $id) { messages(roles: $v) { nodes { id } } } }',
      variables: { id: ids.conversation, v: Array.from({ length: sized() }, () => dice.of(['USER', 'NOPE'])) },
    }),
    () => ({
      query: 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }',
      variables: {
        input: { conversationId: ids.conversation, action: 'NONE', content: { text: '\0'.repeat(sized()) } },
      },
    }),
    () => ({
      query: `mutation ($v: JSONObject) { ${aliases('createConversation(input: { metadata: $v }) { __typename }')} }`,
      variables: { v: { a: Array.from({ length: sized() }, () => '\0') } },
    }),
    () => ({ query: `query ($id: ID!) { message(id: $id) { ${aliases('text')} } }`, variables: { id: ids.message } }),
    () => ({
      query: `query ($id: ID!) { conversation(id: $id) { messages(first: 50) { nodes { text fragments { id } } } } }`,
      variables: { id: ids.conversation },
    }),
    () => ({
      query: 'query ($v: String) { conversations(after: $v) { nodes { id } } }',
      variables: { v: 'a'.repeat(sized()) },
    }),
    () => ({
      query: 'query ($v: JSONObject) { viewer { kind } }',
      variables: { v: JSON.parse('{"a":'.repeat(900) + '1' + '}'.repeat(900)) as unknown },
    }),
    () => ({ query: bomb(dice) }),
  ])();
}

/** In whole MiB. */
function residentMemory(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
}

/** The least that it has of memory in so many seconds, or until that is `enough`: garbage is given back little by little. */
async function settledMemory(pid: number, seconds: number, enough = 0): Promise<number> {
  let least = residentMemory(pid);
  const end = performance.now() + seconds * 1000;
  while (least > enough && performance.now() < end) {
    process.kill(pid, COLLECT);
    await sleep(500);
    least = Math.min(least, residentMemory(pid));
  }
  return least;
}

test(
  `${REQUESTS} requests of all sizes leave the server as it was, and others served`,
  { timeout: 1_800_000 },
  async () => {
    const program = await programs.start({
      DATABASE_URL: database.url,
      BOOTSTRAP_API_KEY: KEY,
      RATE_LIMIT_PER_KEY: '0',
      RATE_LIMIT_PER_CONTACT: '0',
      LOG_LEVEL: 'silent',
    });
    const server: Target = { url: program.url, key: KEY };
    const { conversation } = await createConversation(server, { action: 'NONE' });
    const content = { text: 'x'.repeat(MiB) };
    let message = '';
    for (let i = 0; i < 20; i += 1) {
      message = (await send(server, { conversationId: conversation.id, content, action: 'NONE' })).message.id;
    }
    const token = await mintToken(server, { conversationId: conversation.id, expiresInSeconds: 3600 });
    const ids = { conversation: conversation.id, message };
    const slowest = { ms: 0, body: '' };

    async function lane(number: number, count: number): Promise<void> {
      const dice = new Dice(seed + number);
      const operations = new OperationMaker(schema, dice, [ids.conversation, ids.message]);
      for (let i = 0; i < count; i += 1) {
        const body = JSON.stringify(dice.chance(0.5) ? large(dice, ids) : operations.make());
        const key = dice.of([token, token, KEY, 'nobody-knows-this-key']);
        const begun = performance.now();
        const response = await fetch(`${server.url}/graphql`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
          body,
          signal: AbortSignal.timeout(60_000),
        });
        // A subscription has no end.
        if (response.headers.get('content-type')?.startsWith('text/event-stream')) await response.body?.cancel();
        else expect(await response.text()).not.toContain('INTERNAL_SERVER_ERROR');
        const ms = performance.now() - begun;
        if (ms > slowest.ms) Object.assign(slowest, { ms, body: body.slice(0, 300) });
      }
    }

    const lanes = (first: number, requests: number) =>
      Promise.all(Array.from({ length: LANES }, (_, number) => lane(first + number, requests / LANES)));

    // With as many lanes as later: a server that has served one at a time is not warm yet.
    await lanes(1000, WARM_UP);
    const before = await settledMemory(program.pid, 10);
    let running = true;
    const health: number[] = [];
    const probes = (async () => {
      while (running) {
        const begun = performance.now();
        expect((await fetch(`${server.url}/health`)).status).toBe(200);
        health.push(performance.now() - begun);
      }
    })();
    await lanes(0, REQUESTS);
    running = false;
    await probes;
    health.sort((a, b) => a - b);
    const height = residentMemory(program.pid);
    const after = await settledMemory(program.pid, 30, before + MOST_GROWTH);
    const p99 = health[Math.floor(health.length * 0.99)] ?? 0;
    console.log(
      `memory: ${before} MiB before, ${height} MiB right after, ${after} MiB once it had settled; the slowest request took ${slowest.ms.toFixed(0)} ms (${slowest.body}); ` +
        `/health at the 99th percentile ${p99.toFixed(0)} ms, at worst ${(health.at(-1) ?? 0).toFixed(0)} ms`,
    );
    expect(after).toBeLessThanOrEqual(before + MOST_GROWTH);
    expect(await ask(server, '{ viewer { kind } }')).toEqual({ viewer: { kind: 'API_KEY' } });
  },
);
