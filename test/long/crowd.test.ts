import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { followConversation } from '../../client/follow.ts';
import { decodeId } from '../../src/ids.ts';
import type { Target } from '../harness/client.ts';
import { createConversation, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { usePrograms } from '../harness/process.ts';

const { url: DATABASE_URL, pool } = useDatabase();
const programs = usePrograms({ after: afterAll });
const key = 'key-of-the-tests-of-crowds';
const CONVERSATIONS = 200;
const FOLLOWERS = 2000;
const [SENDS, SENDS_SECONDS] = [5000, 6];

async function start(env: Record<string, string> = {}): Promise<Target & Awaited<ReturnType<typeof programs.start>>> {
  const program = await programs.start({
    DATABASE_URL,
    BOOTSTRAP_API_KEY: key,
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_KEY: '0',
    MAX_CONNECTIONS_PER_VIEWER: String(2 * FOLLOWERS),
    ...env,
  });
  return Object.assign(program, { key });
}

const startConversations = (target: Target) =>
  inTurns(Array.from({ length: CONVERSATIONS }), async () => {
    const { conversation, cursor } = await createConversation(target, { action: 'NONE' });
    return { id: conversation.id, cursor };
  });

/** Twenty at a time. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += 20) {
    results.push(...(await Promise.all(items.slice(at, at + 20).map(work))));
  }
  return results;
}

/** Somebody with a connection of their own, as frontends have. */
class Follower {
  readonly versions: number[] = [];
  private readonly client: Client;
  private readonly left = new AbortController();
  private readonly following: Promise<void>;

  constructor(target: Target, { id, cursor }: { id: string; cursor: string }) {
    this.client = createClient({
      url: `${target.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${key}` },
      retryAttempts: 0,
    });
    const events = followConversation(this.client, { conversationId: id, after: cursor, signal: this.left.signal });
    this.following = (async () => {
      for await (const event of events) {
        if (event.__typename === 'MessageCreated') this.versions.push(event.version);
      }
    })();
    this.following.catch(() => undefined);
  }

  async leave(): Promise<void> {
    this.left.abort();
    await this.following;
    await this.client.dispose();
  }
}

const seconds = (since: number) => (performance.now() - since) / 1000;

test(
  `${FOLLOWERS} followers of ${CONVERSATIONS} conversations miss nothing of a server that is killed and started`,
  { timeout: 300_000 },
  async () => {
    const [followed, other] = await Promise.all([start(), start()]);
    const conversations = await startConversations(other);
    const followers = conversations.flatMap((conversation) =>
      Array.from({ length: FOLLOWERS / CONVERSATIONS }, () => new Follower(followed, conversation)),
    );
    const sendToAll = () =>
      inTurns(conversations, ({ id }) =>
        send(other, { conversationId: id, content: { text: 'Are you there?' }, action: 'NONE' }),
      );
    const untilAllHave = (messages: number) =>
      expect
        .poll(() => followers.filter(({ versions }) => versions.length < messages).length, {
          timeout: 90_000,
          interval: 50,
        })
        .toBe(0);

    await sendToAll();
    await untilAllHave(1);
    await followed.kill('SIGKILL');
    await sendToAll();
    const again = await start({ PORT: new URL(followed.url).port });
    const startedAt = performance.now();
    await untilAllHave(2);
    const caughtUp = seconds(startedAt);
    await sendToAll();
    await untilAllHave(3);
    console.log(`${FOLLOWERS} followers had all they missed ${caughtUp.toFixed(1)} s after the start of their server.`);
    for (const { versions } of followers) expect(versions).toEqual([2, 3, 4]);
    expect(again.stderr).not.toMatch(/"level":"(?:error|fatal)"/);
    await Promise.all(followers.map((follower) => follower.leave()));
  },
);

const sendQuery = `mutation ($id: ID!, $text: String!) {
  result: sendMessage(input: { conversationId: $id, content: { text: $text }, action: NONE }) {
    __typename ... on SendMessagePayload { message { id } }
  }
}`;

interface Answer {
  status: number | undefined;
  seconds: number;
  body: {
    data?: { result: { message?: { id: string } } | null };
    errors?: { extensions: { code: string; retryAfter?: number } }[];
  };
}

function trySend({ url }: Target, agent: Agent, variables: { id: string; text: string }): Promise<Answer> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const asking = request(`${url}/graphql`, {
      agent,
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    });
    asking.on('error', reject);
    asking.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        const body = JSON.parse(text) as Answer['body'];
        resolve({ status: response.statusCode, seconds: seconds(begun), body });
      });
    });
    asking.end(JSON.stringify({ query: sendQuery, variables }));
  });
}

test(
  `${SENDS} sends in ${SENDS_SECONDS} s are each answered or refused, and those answered are stored once`,
  { timeout: 300_000 },
  async () => {
    const server = await start();
    const conversations = await startConversations(server);
    const agent = new Agent({ keepAlive: true, maxSockets: 1500 });
    const begun = performance.now();
    const answers: Promise<Answer>[] = [];
    while (answers.length < SENDS) {
      // However slow the answers are.
      const due = Math.min(SENDS, Math.floor((seconds(begun) / SENDS_SECONDS) * SENDS));
      while (answers.length < due) {
        const { id } = conversations[answers.length % CONVERSATIONS] ?? { id: '' };
        answers.push(trySend(server, agent, { id, text: `Send ${answers.length}` }));
      }
      await sleep(5);
    }
    const sending = seconds(begun);
    const all = await Promise.all(answers);
    agent.destroy();

    const stored: string[] = [];
    let refused = 0;
    for (const { status, body } of all) {
      const id = body.data?.result?.message?.id;
      if (id !== undefined) {
        expect(status).toBe(200);
        stored.push(decodeId('Message', id) ?? '');
      } else {
        refused += 1;
        const [error] = body.errors ?? [];
        expect([status, error?.extensions.code]).toEqual([503, 'SERVICE_UNAVAILABLE']);
        expect(error?.extensions.retryAfter).toBeGreaterThan(0);
      }
    }
    const times = all.map((answer) => answer.seconds).sort((a, b) => a - b);
    const share = (part: number) => (times[Math.ceil(part * times.length) - 1] ?? NaN).toFixed(2);
    console.log(
      `${SENDS} sends in ${sending.toFixed(1)} s: ${stored.length} answered, ${refused} refused; ` +
        `half within ${share(0.5)} s, 99 % within ${share(0.99)} s, all within ${share(1)} s.`,
    );
    const { rows } = await pool.query<{ id: string }>('SELECT id FROM message WHERE id = ANY($1)', [stored]);
    expect(rows).toHaveLength(stored.length);
    // None that was refused has been stored nevertheless.
    const { rowCount } = await pool.query(
      'SELECT FROM message JOIN conversation c ON c.id = conversation_id WHERE c.id = ANY($1)',
      [conversations.map(({ id }) => decodeId('Conversation', id))],
    );
    expect(rowCount).toBe(stored.length);
    expect(Math.max(...times)).toBeLessThan(60);
  },
);
