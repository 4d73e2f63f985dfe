import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Pool } from '../src/db.ts';
import { LogTail } from '../src/conversations/lists/log-tail.ts';
import {
  beginning,
  decodeEventPosition,
  encodeEventPosition,
  type EventPosition,
  readEnd,
  readTail,
  type TailEvent,
} from '../src/conversations/log/tail.ts';
import { decodeId, newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { send } from './harness/commands.ts';
import { createDatabase, useDatabase } from './harness/database.ts';
import { Random } from './harness/random.ts';
import { useScriptedServer } from './harness/scripted-server.ts';
import { hammerTail, nameOf, outOfOrder } from './harness/tail-hammer.ts';

let other: Awaited<ReturnType<typeof createDatabase>>;
beforeAll(async () => {
  other = await createDatabase();
});
afterAll(() => other.drop());

/** Opens a transaction that has written, and ends it when told to. */
async function holdOpen(url: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT pg_current_xact_id()');
  return async () => {
    await client.query('ROLLBACK');
    await client.end();
  };
}

/** The row id of the only organization. */
async function organizationOf(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM organization');
  return rows[0]?.id ?? '';
}

describe('live lists', () => {
  const { server, idle } = useScriptedServer();
  beforeEach(() => {
    // It looks only when the test says.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('are told of everything once, and wait for no open transaction of anybody', async () => {
    const { pool } = server.services;
    const organizationId = await organizationOf(pool);
    const conversations = await Promise.all(['slow', 'quick'].map(() => idle()));
    const [slow, quick] = conversations.map(({ id }) => decodeId('Conversation', id));
    const tail = new LogTail(pool, server.services.bus, createLogger({ level: 'silent' }));
    const told: { conversationId: string; version: number }[] = [];
    const leave = await tail.subscribe(organizationId, (changes) => {
      for (const { conversationId, version } of changes) told.push({ conversationId, version });
    });
    const letGo = await Promise.all([server.databaseUrl, other.url].map(holdOpen));
    const writer = await pool.connect();
    await writer.query('BEGIN');
    await writer.query(
      `INSERT INTO event (conversation_id, version, organization_id, type, actor)
        SELECT id, version + 1, organization_id, 'ConversationUpdated', '{"kind": "SYSTEM"}' FROM conversation WHERE id = $1`,
      [slow],
    );
    await send(server, { conversationId: conversations[1]?.id, content: { text: 'Me first.' }, action: 'NONE' });
    await tail.look();
    const first = { conversationId: quick, version: 2 };
    expect(told).toEqual([first]);
    await writer.query('COMMIT');
    writer.release(true);
    for (let looks = 0; looks < 3; looks += 1) await tail.look();
    expect(told).toEqual([first, { conversationId: slow, version: 2 }]);
    await Promise.all(letGo.map((end) => end()));
    leave();
  });

  test.each([/FROM event/, /FROM conversation/])(
    'are told again what a failed statement kept from them (%s)',
    async (failing) => {
      const { pool, bus } = server.services;
      const organizationId = await organizationOf(pool);
      const { id } = await idle();
      const tail = new LogTail(failingOnce(pool, failing), bus, createLogger({ level: 'silent' }));
      const told: number[] = [];
      const leave = await tail.subscribe(organizationId, (changes) =>
        told.push(...changes.map(({ version }) => version)),
      );
      await send(server, { conversationId: id, content: { text: 'Hello' }, action: 'NONE' });
      await tail.look();
      expect(told).toEqual([]);
      await tail.look();
      expect(told).toEqual([2]);
      leave();
    },
  );
});

/** A pool whose first statement with such a text fails. */
function failingOnce(pool: Pool, failing: RegExp): Pool {
  let failures = 0;
  const query = (config: pg.QueryConfig) => {
    if (!failing.test(config.text) || failures > 0) return pool.query(config);
    failures += 1;
    return Promise.reject(new Error('The connection is lost.'));
  };
  return new Proxy(pool, {
    get: (target, key): unknown => (key === 'query' ? query : Reflect.get(target, key)),
  });
}

describe('the tail of the log', () => {
  const database = useDatabase();

  async function write(...versions: number[]): Promise<string[]> {
    const conversationId = newId();
    for (const version of versions) {
      await database.pool.query(
        `INSERT INTO event (conversation_id, version, organization_id, type, actor)
          VALUES ($1, $2, $1, 'ConversationUpdated', '{"kind": "SYSTEM"}')`,
        [conversationId, version],
      );
    }
    return versions.map((version) => nameOf({ conversationId, version }));
  }

  /** Reads on until there is no more, in small pages. */
  async function readAll(from: EventPosition): Promise<{ names: string[]; position: EventPosition }> {
    const events: TailEvent[] = [];
    let position = from;
    for (let more = true; more;) {
      const page = await readTail(database.pool, position, 2);
      events.push(...page.events);
      ({ position, more } = page);
    }
    return { names: events.map(nameOf), position };
  }

  test('goes on after any event, whatever the size of its pages', async () => {
    const start = await readEnd(database.pool);
    const names = await write(1, 2, 3, 4, 5);
    const { names: seen, position } = await readAll(start);
    expect(seen).toEqual(names);
    const more = await write(1, 2);
    expect((await readAll(position)).names).toEqual(more);
    const page = await readTail(database.pool, start, 3);
    expect(page.events.map(nameOf)).toEqual(names.slice(0, 3));
    expect((await readAll(page.position)).names).toEqual([...names.slice(3), ...more]);
  });

  test('begins with the rows from before there were epochs', async () => {
    const old = await write(1, 2, 3);
    await database.pool.query('UPDATE event SET epoch = 0, xid = DEFAULT');
    const fresh = await write(1, 2, 3);
    const { names } = await readAll(beginning);
    expect(names.slice(-6)).toEqual([...old, ...fresh]);
  });

  test('tells the rest of an epoch that is over, then all of the next, whatever its transactions are called', async () => {
    const start = await readEnd(database.pool);
    const rest = await write(1, 2, 3);
    // As after a move to another cluster, whose transactions are numbered anew.
    await database.pool.query('UPDATE log_epoch SET base = base + 1');
    const fresh = await write(1, 2, 3);
    await database.pool.query(`UPDATE event SET xid = '5' WHERE epoch = current_epoch()`);
    const { names, position } = await readAll(start);
    expect(names).toEqual([...rest, ...fresh]);
    expect(position.epoch).toBe(start.epoch + 1);
    const last = await write(1);
    expect((await readAll(position)).names).toEqual(last);
  });

  test('takes no position that it has not made', async () => {
    const end = await readEnd(database.pool);
    for (const position of [end, beginning, { ...end, telling: '4:9:5,7', seq: '12' }]) {
      expect(decodeEventPosition(encodeEventPosition(position))).toEqual(position);
    }
    const snapshots = ['5:3:', '0:0:', '0:3:', '2:2:2', '2:9:1', '2:9:9', '2:9:7,5'];
    const malformed = ['', '1', '1/2:2:/', 'x/2:2://0', "1/2:2:'//0", '1/2:2:/x/0', '1/2:2://-1', '1/2:2://0/0'];
    for (const text of [...malformed, ...snapshots.flatMap((each) => [`1/${each}//0`, `1/2:2:/${each}/0`])]) {
      expect(decodeEventPosition(Buffer.from(text).toString('base64url'))).toBeNull();
    }
  });
});

describe('consumers of the log', () => {
  const database = useDatabase();

  test('are told of each event once and in order while others write, roll back, and hold transactions open', async () => {
    const random = new Random(7);
    const options = { url: database.url, otherUrl: other.url, random, writers: 6, transactions: 40 };
    const { committed, told } = await hammerTail(options);
    expect(committed.size).toBeGreaterThan(200);
    for (const { consumer, events } of told) {
      expect(outOfOrder(events), consumer).toEqual([]);
      expect(events.map(nameOf).sort(), consumer).toEqual([...committed].sort());
    }
  });
});
