import pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Pool } from '../../src/db.ts';
import { decodeId } from '../../src/ids.ts';
import { Chaos } from './chaos.ts';
import { type MessageData, readMessage } from './commands.ts';
import { Fleet, type FleetServer } from './fleet.ts';
import { followByClient, followBySse, followByWebSocket } from './followers.ts';
import { type RestartablePostgres, useRestartablePostgres } from './restartable-postgres.ts';
import { readLog } from './rows.ts';
import { type Asked, talk } from './talk.ts';

/** A PostgreSQL that restarts and is looked into, and servers on it, for the tests of one file. */
export interface ChaosStage {
  readonly postgres: RestartablePostgres;
  readonly pool: Pool;
  /** Servers with this between them, PostgreSQL if nothing else. */
  useFleet(eventsUrl?: () => string): Fleet;
}

export function useChaosStage(): ChaosStage {
  const postgres = useRestartablePostgres();
  let pool: pg.Pool | undefined;
  beforeAll(() => {
    pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
    pool.on('error', () => undefined);
  });
  afterAll(() => pool?.end());
  return {
    postgres,
    get pool() {
      if (!pool) throw new Error('The pool of useChaosStage() exists only while tests and their hooks run.');
      return pool;
    },
    useFleet: (eventsUrl = () => postgres.url) =>
      // The lease is one that a server keeps that lives but has to wait for a busy processor.
      new Fleet(() => ({ DATABASE_URL: postgres.url, EVENTS_URL: eventsUrl(), LEASE_SECONDS: '5' })),
  };
}

export const throughChaos = 'of them keep every promise while they are killed, cut off and left by their database';

const TURNS = 5;

/** Conversations of `TURNS` replies each go on while chaos reigns, and for one more reply after it. */
export async function talkThroughChaos(
  { postgres, pool }: ChaosStage,
  fleet: Fleet,
  { servers, talks }: { servers: number; talks: number },
): Promise<void> {
  await fleet.resize(servers);
  const agentId = await fleet.createStoryteller();
  const running = new Set<Asked>();
  const load = (server: FleetServer) => [...running].filter((asked) => asked.servers.has(server)).length;
  const left = new AbortController();
  const chaos = new Chaos({ fleet, postgres, load, signal: left.signal });
  const over = chaos.reign();
  const talking = Array.from({ length: talks }, (_, n) =>
    talk({
      fleet,
      agentId,
      random: chaos.random.fork(),
      followers: [followByClient, n % 2 ? followByWebSocket : followBySse],
      turns: TURNS,
      beforeLast: over,
      running,
      signal: left.signal,
    }),
  );
  const done = Promise.all([Promise.all(talking), over]);
  const [talked] = await Promise.race([done, fleet.crash]).finally(() => left.abort());

  const ends = talked.map(async ({ conversationId, replies, told }) => {
    const stored = await Promise.all(
      replies.map(({ id }) => fleet.ask(chaos.random, (server) => readMessage(server, id))),
    );
    for (const [n, reply] of replies.entries()) expectEnd(fleet, reply, stored[n]);
    const truth = Object.fromEntries(stored.map(({ id, status, text }) => [id, { status, text }]));
    for (const followed of told) expect(Object.fromEntries(followed)).toEqual(truth);
    await expectWholeLog(pool, conversationId, TURNS);
    return stored.map(({ status }) => status);
  });
  const statuses = (await Promise.all(ends)).flat();
  const count = (status: string) => statuses.filter((each) => each === status).length;
  console.log(
    `${statuses.length} replies of ${servers} servers, CHAOS_SEED=${chaos.random.seed}: ${count('DONE')} told to their end, ` +
      `${count('ERROR')} settled as far as they had come; asked again after ${fleet.summaryOfFailures()}.`,
  );
  expect(statuses).toHaveLength(talks * TURNS);
  expect(statuses).toContain('ERROR');
}

/** All of the story; or, if its server was killed, some of it and why. */
function expectEnd(fleet: Fleet, { story, servers }: Asked, stored: MessageData | undefined): void {
  if (stored?.status === 'ERROR' && [...servers].some((server) => fleet.wasKilled(server))) {
    expect(stored.errorDetail).toMatch(/stopped working/);
    expect(story.startsWith(stored.text)).toBe(true);
  } else {
    expect(stored).toMatchObject({ errorDetail: null, status: 'DONE', text: story });
  }
}

/** No version left out or given twice, and so many replies ended, each once. */
export async function expectWholeLog(pool: Pool, conversationId: string, replies: number): Promise<void> {
  const log = await readLog(pool, decodeId('Conversation', conversationId) ?? '');
  expect(log.map(({ version }) => version)).toEqual(log.map((_, n) => n + 1));
  expect(log.filter(({ type }) => type === 'MessageCompleted')).toHaveLength(replies);
}
