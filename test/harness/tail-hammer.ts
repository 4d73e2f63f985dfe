import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import {
  beginning,
  decodeEventPosition,
  encodeEventPosition,
  readTail,
  type TailEvent,
} from '../../src/conversations/log/tail.ts';
import type { Random } from './random.ts';

export interface HammerOptions {
  /** A migrated database of its own. */
  url: string;
  /** A database beside it, where a transaction stays open too. */
  otherUrl: string;
  random: Random;
  writers: number;
  /** How many transactions each writer begins. */
  transactions: number;
}

interface Told {
  consumer: string;
  events: TailEvent[];
}

/**
 * Writers that take their transaction's id early and commit late, roll back, and use savepoints, beside consumers that read
 * pages of all sizes and forget what they have just read. Throughout, a transaction that has written stays open in this
 * database and in another one. Returns what was committed and what each consumer was told.
 */
export async function hammerTail(options: HammerOptions): Promise<{ committed: Set<string>; told: Told[] }> {
  const { url, otherUrl, random } = options;
  const pool = new pg.Pool({ connectionString: url, max: options.writers + 4 });
  const other = new pg.Client({ connectionString: otherUrl });
  await other.connect();
  await pool.query('CREATE TABLE counter (id uuid PRIMARY KEY, version int NOT NULL DEFAULT 0)');
  await pool.query('INSERT INTO counter (id) SELECT gen_random_uuid() FROM generate_series(1, 12)');
  const { rows: counters } = await pool.query<{ id: string }>('SELECT id FROM counter');
  const committed = new Set<string>();
  const holder = await pool.connect();
  try {
    for (const client of [holder, other]) {
      await client.query('BEGIN');
      await client.query('CREATE TABLE held (n int)');
    }
    let writing = true;
    const consumers = [1000, 3, 7].map((limit, i) => consume(`pages of ${limit}`, limit, i > 0));
    await Promise.all(Array.from({ length: options.writers }, write));
    writing = false;
    return { committed, told: await Promise.all(consumers) };

    async function consume(consumer: string, limit: number, forgets: boolean): Promise<Told> {
      const events: TailEvent[] = [];
      let position = encodeEventPosition(beginning);
      for (;;) {
        const isLast = !writing;
        const stored = decodeEventPosition(position);
        if (!stored) throw new Error(`The position ${position} cannot be read back.`);
        const page = await readTail(pool, stored, limit);
        // As one that dies before it has stored what it read.
        if (forgets && random.next() < 0.15) continue;
        events.push(...page.events);
        position = encodeEventPosition(page.position);
        if (page.more) continue;
        if (isLast) return { consumer, events };
        await sleep(random.between(0, 10));
      }
    }
  } finally {
    await Promise.all([holder, other].map((client) => client.query('ROLLBACK')));
    holder.release();
    await other.end();
    await pool.end();
  }

  async function write(): Promise<void> {
    for (let n = 0; n < options.transactions; n += 1) {
      const client = await pool.connect();
      const mine: string[] = [];
      try {
        await client.query('BEGIN');
        if (random.next() < 0.4) {
          await client.query('SELECT pg_current_xact_id()');
          await sleep(random.between(0, random.next() < 0.1 ? 100 : 10));
        }
        const chosen = new Set(Array.from({ length: random.between(1, 3) }, () => random.pick(counters).id));
        // In one order, so that none waits for another in a circle.
        for (const id of [...chosen].sort()) {
          if (random.next() < 0.3) {
            await client.query('SAVEPOINT attempt');
            const event = await append(client, id);
            if (random.next() < 0.4) await client.query('ROLLBACK TO attempt');
            else mine.push(event);
          } else mine.push(await append(client, id));
        }
        if (random.next() < 0.15) await client.query('ROLLBACK');
        else {
          await client.query('COMMIT');
          for (const event of mine) committed.add(event);
        }
      } finally {
        client.release();
      }
    }
  }
}

/** Adds an event to a conversation as commands do: the row is locked before `seq` is taken. */
async function append(client: pg.PoolClient, id: string): Promise<string> {
  const { rows } = await client.query<{ version: number }>(
    `WITH next AS (UPDATE counter SET version = version + 1 WHERE id = $1 RETURNING version)
    INSERT INTO event (conversation_id, version, organization_id, type, actor)
      SELECT $1, version, $2, 'ConversationUpdated', '{"kind": "SYSTEM"}' FROM next RETURNING version`,
    [id, randomUUID()],
  );
  return nameOf({ conversationId: id, version: rows[0]?.version ?? 0 });
}

/** What tells an event from all others. */
export function nameOf({ conversationId, version }: Pick<TailEvent, 'conversationId' | 'version'>): string {
  return `${conversationId}:${version}`;
}

/** The events that do not follow on the one before of their conversation. */
export function outOfOrder(events: readonly TailEvent[]): TailEvent[] {
  const versions = new Map<string, number>();
  return events.filter(({ conversationId, version }) => {
    const before = versions.get(conversationId) ?? 0;
    versions.set(conversationId, version);
    return version !== before + 1;
  });
}
