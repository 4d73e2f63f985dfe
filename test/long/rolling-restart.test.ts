import { rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { useDatabase } from '../harness/database.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { Random } from '../harness/random.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const { url: DATABASE_URL, pool } = useDatabase();
const programs = usePrograms();
const DATA_DIR = createTemporaryFolder();
afterAll(() => rmSync(DATA_DIR, { recursive: true, force: true }));
const key = 'key-of-the-tests-of-rolling-restarts';
const CLIENTS = 8;

const query = `mutation {
  result: createConversation(input: {
    message: { content: { text: "Where is the moon?" } }, runtimeParameters: { wordsPerSecond: 30 }
  }) { ... on CreateConversationPayload { reply { id } } ... on UserError { detail } }
}`;

interface Answer {
  status: number | undefined;
  body: string;
  /** Whether the connection may be used again. */
  kept: boolean;
}

/** One request over the connection of this agent. */
function post(url: string, agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(`${url}/graphql`, {
      agent,
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    });
    asking.on('error', reject);
    asking.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode, body, kept: response.headers.connection !== 'close' });
      });
    });
    asking.end(JSON.stringify({ query }));
  });
}

test(
  'while three servers are replaced one after another, nobody is refused over a kept connection, and no reply is lost',
  { timeout: 240_000 },
  async () => {
    const env = { DATABASE_URL, DATA_DIR, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_KEY: '0', LOG_LEVEL: 'warn' };
    const servers = new Set(await Promise.all([0, 1, 2].map(() => programs.start(env))));
    const random = new Random(20_261_129);

    /** What a load balancer gives to a new connection: a server that says it is ready. */
    async function ready(): Promise<Program> {
      for (;;) {
        const server = random.pick([...servers]);
        const status = await fetch(`${server.url}/ready`).then(
          (response) => response.status,
          () => 0,
        );
        if (status === 200) return server;
      }
    }

    const replies: string[] = [];
    let connections = 0;
    let over = false;
    const isOver = () => over;
    /** Sends over one connection for as long as it is kept, and then over another. */
    async function client(): Promise<void> {
      while (!isOver()) {
        const { url } = await ready();
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        connections += 1;
        for (;;) {
          const answer = await post(url, agent);
          expect(answer).toMatchObject({ status: 200, body: expect.stringContaining('"reply":{"id"') });
          replies.push(
            (JSON.parse(answer.body) as { data: { result: { reply: { id: string } } } }).data.result.reply.id,
          );
          if (isOver() || !answer.kept) break;
          await sleep(random.between(50, 250));
        }
        agent.destroy();
      }
    }

    const clients = Promise.all(Array.from({ length: CLIENTS }, client));
    const replacing = (async () => {
      for (const server of [...servers]) {
        servers.add(await programs.start(env));
        const exited = server.kill('SIGTERM');
        await expect.poll(async () => (await fetch(`${server.url}/ready`)).status).toBe(503);
        servers.delete(server);
        expect(await exited).toBe(0);
        // A slow machine may be told of.
        expect(server.stderr.replace(/^.*the event loop was busy.*\n/gm, '')).toBe('');
      }
    })();
    await Promise.race([replacing, clients]).finally(() => (over = true));
    await clients;

    const statuses = async () => {
      const sql = 'SELECT status, count(*)::int AS count FROM message WHERE id = ANY($1) GROUP BY status';
      const { rows } = await pool.query<{ status: string; count: number }>(sql, [
        replies.map((id) => decodeId('Message', id)),
      ]);
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    };
    await expect.poll(statuses, { timeout: 20_000 }).not.toHaveProperty('IN_PROGRESS');
    console.log(`${replies.length} sends over ${connections} connections of ${CLIENTS} clients, none refused.`);
    expect(await statuses()).toEqual({ DONE: replies.length });
  },
);
