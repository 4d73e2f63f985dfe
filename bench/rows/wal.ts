import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { decodeId, newId } from '../../src/ids.ts';
import { type Bench, quantile, type Row } from '../bench.ts';
import { now } from '../clock.ts';
import type { Program } from '../process.ts';
import type { ParleyCommands } from '../programs/parley.ts';

/** What may be lost of a text when the server dies, in milliseconds. */
const PROMISED_MS = 250;
/** What that may cost. */
const PROMISED_KIB = 10;

/** What PostgreSQL writes to its log for replies that are stored while they are spoken. */
export const wal: Row = {
  name: 'wal',
  async run(bench) {
    const parley = bench.start<ParleyCommands>('parley');
    const db = new pg.Client({ connectionString: bench.databaseUrl });
    await db.connect();
    try {
      return await measure(bench, parley, db);
    } finally {
      await db.end();
    }
  },
};

async function measure(bench: Bench, parley: Program<ParleyCommands>, db: pg.Client) {
  const replies = bench.quick ? 20 : 50;
  // A shorter reply is mostly what is written for any reply, whatever is stored while it is spoken.
  const script = { tokens: bench.quick ? 500 : 1000, perSecond: 50, recorded: true };
  const unstored: number[] = [];

  const turn = async (ids: Conversation[], work: () => Promise<unknown>): Promise<Turn> => {
    const written = await writtenDuring(db, work);
    const vacuumed = await writtenDuring(db, () => db.query('VACUUM conversation, message, fragment, chunk, event'));
    const text = await textOf(db, ids);
    return { ids, perKiB: written / text, vacuumedPerKiB: (written + vacuumed) / text };
  };
  const ours = async (): Promise<Turn> => {
    const ids = await open(parley, replies);
    return turn(ids, async () => {
      await parley.call('reply', { conversationIds: ids.map(({ publicId }) => publicId), script });
      unstored.push(...(await watchStored(parley, db, ids.at(-1))));
      await allSettled(db, ids);
    });
  };
  const limit = async (model: Turn): Promise<Turn> => {
    const ids = await open(parley, replies);
    const rows: string[][] = [];
    for (const [index, { id }] of ids.entries()) rows.push(await rowsFor(db, id, model.ids[index]?.id ?? ''));
    return turn(ids, async () => {
      for (const values of rows) await db.query({ name: 'write-at-once', text: writeAtOnce, values });
    });
  };

  bench.progress(`wal: ${replies} replies of ${script.tokens} tokens, ${script.perSecond} tokens/s`);
  // What other rows of the benchmark have left to be vacuumed is not to be counted here.
  await db.query('VACUUM ANALYZE');
  const checkpoint = () =>
    db.query('CHECKPOINT').then(
      () => true,
      () => false,
    );
  const turns: { cold: boolean; ours: Turn; limit: Turn }[] = [];
  for (const cold of [true, false]) {
    bench.progress(`  ${cold ? 'after a checkpoint' : 'warmed up'}`);
    if (cold && !(await checkpoint())) continue;
    const model = await ours();
    if (cold) await checkpoint();
    turns.push({ cold, ours: model, limit: await limit(model) });
  }
  return {
    title: `WAL of replies of ${script.tokens} tokens, ${replies} at once, ${script.perSecond} tokens/s each`,
    figures: [
      ...turns.flatMap(({ cold, ours, limit }) => [
        {
          what: `WAL for a KiB of text${cold ? ', just after a checkpoint' : ''}`,
          unit: 'KiB',
          ours: ours.perKiB,
          limit: limit.perKiB,
        },
        ...(cold
          ? []
          : [{ what: '  vacuumed at once', unit: 'KiB', ours: ours.vacuumedPerKiB, limit: limit.vacuumedPerKiB }]),
      ]),
      {
        what: 'age of the oldest text not stored, p99',
        unit: 'ms',
        ours: quantile(unstored, 0.99),
        limit: PROMISED_MS,
      },
      {
        what: 'age of the oldest text not stored, at most',
        unit: 'ms',
        ours: quantile(unstored, 1),
        limit: PROMISED_MS,
      },
    ],
    notes: [
      'With the message that is answered, events and claims. Limit: the same rows, each reply written once when it is complete.',
      `Promised: at most ${PROMISED_KIB} KiB, while a crash loses at most the last ${PROMISED_MS} ms of text.`,
      'Just after a checkpoint, PostgreSQL writes a whole page for the first change in it.',
      'A database that is left alone vacuums later, and for more rows at a time.',
    ],
  };
}

interface Turn {
  ids: Conversation[];
  /** KiB of WAL for each KiB of text. */
  perKiB: number;
  /** With what it takes to remove the dead rows, all indexes included. */
  vacuumedPerKiB: number;
}

interface Conversation {
  id: string;
  publicId: string;
}

async function open(parley: Program<ParleyCommands>, conversations: number): Promise<Conversation[]> {
  const places = await parley.call('open', { conversations });
  return places.map((place) => ({
    id: decodeId('Conversation', place.conversationId) ?? '',
    publicId: place.conversationId,
  }));
}

/** In KiB. What else is written on this database server counts too. */
async function writtenDuring(db: pg.Client, work: () => Promise<unknown>): Promise<number> {
  const start = await position(db);
  await work();
  const { rows } = await db.query<{ bytes: string }>('SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1) AS bytes', [
    start,
  ]);
  return Number(rows[0]?.bytes) / 1024;
}

async function position(db: pg.Client): Promise<string> {
  const { rows } = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
  return rows[0]?.lsn ?? '';
}

/** Follows what is stored of the newest reply until it has ended; returns again and again how old the oldest text was that was not. */
async function watchStored(
  parley: Program<ParleyCommands>,
  db: pg.Client,
  conversation: Conversation | undefined,
): Promise<number[]> {
  const looks: { at: number; stored: number }[] = [];
  for (;;) {
    const at = now();
    const { rows } = await db.query<{ running: boolean; stored: number }>({
      name: 'watch-stored',
      text: `SELECT generating_message_id IS NOT NULL AS running,
          (SELECT coalesce(sum(units), 0)::int FROM (
            SELECT units FROM fragment WHERE message_id = generating_message_id
            UNION ALL SELECT units FROM chunk WHERE message_id = generating_message_id) AS part) AS stored
        FROM conversation WHERE id = $1`,
      values: [conversation?.id],
    });
    if (!rows[0]?.running) break;
    looks.push({ at, stored: rows[0].stored });
    await sleep(10);
  }
  const produced = await parley.call('produced', { conversationId: conversation?.publicId ?? '' });
  return looks.map(({ at, stored }) => {
    const oldest = produced.find(({ length }) => length > stored);
    return oldest ? Math.max(0, at - oldest.at) : 0;
  });
}

async function allSettled(db: pg.Client, ids: Conversation[]): Promise<void> {
  for (;;) {
    const { rows } = await db.query<{ running: boolean }>(
      'SELECT EXISTS (SELECT FROM conversation WHERE id = ANY($1) AND generating_message_id IS NOT NULL) AS running',
      [ids.map(({ id }) => id)],
    );
    if (!rows[0]?.running) return;
    await sleep(20);
  }
}

/** The text of all replies, in KiB. */
async function textOf(db: pg.Client, ids: Conversation[]): Promise<number> {
  const { rows } = await db.query<{ bytes: string }>(
    `SELECT sum(octet_length(text)) AS bytes FROM fragment JOIN message ON message.id = message_id
      WHERE conversation_id = ANY($1) AND role = 'AGENT'`,
    [ids.map(({ id }) => id)],
  );
  return Number(rows[0]?.bytes) / 1024;
}

/** The rows that a reply has left behind in one conversation, as they would be in another one. */
async function rowsFor(db: pg.Client, conversationId: string, model: string): Promise<string[]> {
  const { rows } = await db.query<{ messages: string; fragments: string; events: string; id: string }>(
    `WITH said AS (SELECT * FROM message WHERE conversation_id = $1)
    SELECT (SELECT jsonb_agg(said ORDER BY position) FROM said)::text AS messages,
      (SELECT jsonb_agg(fragment) FROM fragment JOIN said ON said.id = message_id)::text AS fragments,
      (SELECT jsonb_agg(event ORDER BY version) FROM event WHERE conversation_id = $1 AND version > 1)::text AS events,
      (SELECT jsonb_agg(id) FROM said)::text AS id`,
    [model],
  );
  const [row] = rows;
  if (!row) throw new Error('There is no reply to take as a model.');
  const renamed = new Map([[model, conversationId], ...idsIn(row.id).map((id): [string, string] => [id, newId()])]);
  const rename = (text: string) =>
    text.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => renamed.get(id) ?? id);
  return [conversationId, model, rename(row.messages), rename(row.fragments), rename(row.events)];
}

function idsIn(json: string): string[] {
  return json.match(/[0-9a-f-]{36}/g) ?? [];
}

const writeAtOnce = /* sql */ `
WITH said AS (
  INSERT INTO message SELECT * FROM jsonb_populate_recordset(NULL::message, $3::jsonb) RETURNING id, position
), written AS (
  INSERT INTO fragment SELECT * FROM jsonb_populate_recordset(NULL::fragment, $4::jsonb)
), logged AS (
  INSERT INTO event SELECT row.* FROM jsonb_array_elements($5::jsonb) AS logged,
    LATERAL jsonb_populate_record(NULL::event,
      logged || jsonb_build_object('seq', nextval(pg_get_serial_sequence('event', 'seq')))) AS row
)
UPDATE conversation SET version = model.version, next_position = model.next_position, updated_at = model.updated_at,
  message_count = model.message_count, last_message_id = (SELECT id FROM said ORDER BY position DESC LIMIT 1)
FROM conversation AS model WHERE conversation.id = $1 AND model.id = $2`;
