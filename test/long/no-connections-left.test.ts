import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { createConversation, readMessage } from '../harness/commands.ts';
import { usePrograms } from '../harness/process.ts';
import { useRestartablePostgres } from '../harness/restartable-postgres.ts';

const postgres = useRestartablePostgres();
const programs = usePrograms();
const key = 'key-of-the-tests-without-connections';

/** Idle connections of a request are let go after ten seconds. */
const LONGER_THAN_IDLE_MS = 20_000;

test('a server keeps its lease and its replies when others have every other connection of the database', async () => {
  const env = { DATABASE_URL: postgres.url, BOOTSTRAP_API_KEY: key, LEASE_SECONDS: '2', LOG_LEVEL: 'warn' };
  const server = Object.assign(await programs.start(env), { key });
  const begin = async (wordsPerSecond: number) => {
    const message = { content: { text: 'How do I stop a reply?' } };
    const { reply } = await createConversation(server, { message, runtimeParameters: { wordsPerSecond } });
    return reply?.id ?? '';
  };
  const whole = await createConversation(server, {
    message: { content: { text: 'How do I stop a reply?' } },
    runtimeParameters: { wordsPerSecond: 0 },
    awaitReply: true,
  });
  const words = whole.reply?.text.split(/\s+/).length ?? 0;
  // One that ends while there are no connections, and one that ends when there are again.
  const [short, long] = await Promise.all([begin(words / 10), begin(words / 60)]);
  const witness = new pg.Client({ connectionString: postgres.url });
  witness.on('error', () => undefined);
  await witness.connect();
  const serverIds = async () => (await witness.query<{ id: string }>('SELECT id FROM server')).rows.map(({ id }) => id);
  const stored = async (id: string) => {
    const { rows } = await witness.query<{ status: string; length: number }>(
      `SELECT status, (SELECT coalesce(sum(length(text)), 0) FROM fragment WHERE message_id = message.id)::int
        + (SELECT coalesce(sum(length(reversed)), 0) FROM chunk WHERE message_id = message.id)::int AS length
        FROM message WHERE id = $1`,
      [decodeId('Message', id)],
    );
    return rows[0];
  };
  await expect.poll(async () => (await stored(long))?.length).toBeGreaterThan(0);
  const before = await serverIds();

  const others = new Others(postgres.url);
  onTestFinished(async () => {
    await others.leave();
    await witness.end();
  });
  await others.takeAll();
  const taken = performance.now();
  let length = (await stored(long))?.length ?? 0;
  while (performance.now() < taken + LONGER_THAN_IDLE_MS) {
    await sleep(3000);
    // Its text goes on being stored.
    const now = (await stored(long))?.length ?? 0;
    expect(now).toBeGreaterThan(length);
    length = now;
    expect(await serverIds()).toEqual(before);
  }
  expect(others.refused).toBeGreaterThan(10);
  console.log(`others had ${others.count} connections and were refused ${others.refused} times`);
  expect(await stored(short)).toMatchObject({ status: 'DONE', length: whole.reply?.text.length });
  await others.leave();
  await expect.poll(async () => (await stored(long))?.status, { timeout: 90_000 }).toBe('DONE');
  expect((await readMessage(server, long)).text).toBe(whole.reply?.text);
  expect(await serverIds()).toEqual(before);
});

/** Clients that take each connection as soon as it is free. */
class Others {
  refused = 0;
  private readonly url: string;
  private readonly clients = new Set<pg.Client>();
  private taking: Promise<void> = Promise.resolve();
  private isLeaving = false;

  constructor(url: string) {
    this.url = url;
  }

  get count(): number {
    return this.clients.size;
  }

  /** Resolves when there is no connection left; goes on taking them. */
  async takeAll(): Promise<void> {
    while (await this.takeOne());
    this.taking = (async () => {
      while (!this.isLeaving) if (!(await this.takeOne())) await sleep(50);
    })();
  }

  async leave(): Promise<void> {
    this.isLeaving = true;
    await this.taking;
    const clients = [...this.clients];
    this.clients.clear();
    await Promise.all(clients.map((client) => client.end()));
  }

  private async takeOne(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      this.clients.add(client);
      return true;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === '53300')) throw error;
      this.refused += 1;
      return false;
    }
  }
}
