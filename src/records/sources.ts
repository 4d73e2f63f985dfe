import type pg from 'pg';
import { beginning, decodeEventPosition, encodeEventPosition, type EventPosition } from '../conversations/log/tail.ts';
import { readOrganizationEvents } from '../conversations/lists/organization-events.ts';
import { encodeId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { storedFilter } from './filter.ts';
import { answer, answerOf, recordConditions, recordValues, withinDays } from './list-records.ts';

export const exportKinds = ['RECORDS', 'CONVERSATIONS', 'MESSAGES', 'EVENTS'] as const;
export type ExportKind = (typeof exportKinds)[number];

export type Cell = string | number | Date | null;

export interface Page {
  rows: Cell[][];
  /** Where to read on. Null at the end. */
  next: string | null;
  /** How far it has come, from 0 to 1: in time, or in the log. Nothing has to be counted for that. */
  part: number;
}

/** What is exported, a page at a time. */
export interface Source {
  columns: readonly string[];
  /** The page after this place; null is the beginning. Reads up to about 4 MiB of text. */
  page(after: string | null): Promise<Page>;
}

/** Rows of one page at most, and the bytes of text after which a page ends. */
const [PAGE_ROWS, PAGE_BYTES] = [1000, 4 * 1024 * 1024];

/** What is to be exported from the organization, by what was stored when it was asked for. */
export function sourceOf(pool: pg.Pool, organizationId: string, kind: ExportKind, input: JsonObject): Source {
  if (kind === 'EVENTS')
    return eventSource(pool, organizationId, placeOf(input.since) ?? beginning, placeOf(input.until));
  const values = recordValues(organizationId, storedFilter(input));
  return tableSource(pool, kind, values);
}

const placeOf = (stored: unknown) => (typeof stored === 'string' ? decodeEventPosition(stored) : null);

interface Table {
  columns: Record<string, string>;
  /** The rows that are paged through: `m` or `c`. */
  row: 'm' | 'c';
  from: string;
  where: string;
  /** How many bytes of text a row has. */
  bytes: string;
  /** What only the columns need. */
  joins: string;
}

const textOf = (alias: string) =>
  `(SELECT string_agg(f.text, '' ORDER BY f.index) FROM fragment f WHERE f.message_id = ${alias}.id AND f.kind = 'TEXT')`;
const bytesOf = (messageId: string) =>
  `coalesce((SELECT sum(octet_length(f.text)) FROM fragment f WHERE f.message_id = ${messageId} AND f.kind = 'TEXT'), 0)`;

const messages = `message m JOIN organization o ON o.id = m.organization_id
  JOIN conversation c ON c.organization_id = m.organization_id AND c.id = m.conversation_id`;
const names = `JOIN agent ON agent.id = c.agent_id LEFT JOIN inbox ON inbox.id = c.inbox_id LEFT JOIN contact ON contact.id = c.contact_id`;
const ofConversation = `($4::uuid IS NULL OR c.agent_id = $4) AND ($5::uuid IS NULL OR c.inbox_id = $5)
  AND $6::text IS NULL AND $7::text IS NULL AND $8::"Rating" IS NULL`;

const tables: Record<Exclude<ExportKind, 'EVENTS'>, Table> = {
  RECORDS: {
    columns: {
      askedAt: 'm.created_at',
      question: textOf('m'),
      answeredAt: 'a.completed_at',
      answer: textOf('a'),
      answerStatus: 'a.status::text',
      rating: '(SELECT b.rating::text FROM feedback b WHERE b.message_id = a.id)',
      ratingComment: '(SELECT b.comment FROM feedback b WHERE b.message_id = a.id)',
      agent: 'agent.name',
      inbox: 'inbox.name',
      contact: 'contact.display_name',
      Conversation: 'c.id',
      'Message question': 'm.id',
      'Message answer': 'a.id',
    },
    row: 'm',
    from: messages,
    where: recordConditions,
    bytes: `${bytesOf('m.id')} + ${bytesOf(`(SELECT a.id FROM (${answer}) a)`)}`,
    joins: `${names} ${answerOf}`,
  },
  CONVERSATIONS: {
    columns: {
      Conversation: 'c.id',
      title: 'c.title',
      status: 'c.status::text',
      createdAt: 'c.created_at',
      updatedAt: 'c.updated_at',
      endedAt: 'c.ended_at',
      messages: 'c.message_count',
      agent: 'agent.name',
      inbox: 'inbox.name',
      contact: 'contact.display_name',
      contactExternalId: 'contact.external_id',
      labels: `array_to_string(c.labels, ', ')`,
    },
    row: 'c',
    from: 'conversation c JOIN organization o ON o.id = c.organization_id',
    where: `c.organization_id = $1 AND ${withinDays('c.created_at', '$2', '$3')} AND ${ofConversation}`,
    bytes: '0',
    joins: names,
  },
  MESSAGES: {
    columns: {
      Message: 'm.id',
      Conversation: 'c.id',
      position: 'm.position',
      role: 'm.role::text',
      author: `m.author->>'displayName'`,
      status: 'm.status::text',
      createdAt: 'm.created_at',
      completedAt: 'm.completed_at',
      text: textOf('m'),
      'Message inReplyTo': 'm.in_reply_to_id',
      error: 'm.error_detail',
      inputTokens: 'm.input_tokens',
      outputTokens: 'm.output_tokens',
    },
    row: 'm',
    from: messages,
    where: `m.organization_id = $1 AND m.status <> 'IN_PROGRESS' AND ${withinDays('m.created_at', '$2', '$3')} AND ${ofConversation}`,
    bytes: bytesOf('m.id'),
    joins: '',
  },
};

/** The name of a column: of one with ids, that of its type in small letters or what follows it, and `Id`. */
function columnName(name: string): string {
  const type = idTypeOf(name);
  if (!type) return name;
  const [, role] = name.split(' ');
  return `${role ?? type.toLowerCase()}Id`;
}

function idTypeOf(name: string): 'Conversation' | 'Message' | null {
  const [type] = name.split(' ');
  return type === 'Conversation' || type === 'Message' ? type : null;
}

function tableSource(pool: pg.Pool, kind: Exclude<ExportKind, 'EVENTS'>, values: unknown[]): Source {
  const { columns, from, where, row, bytes, joins } = tables[kind];
  const names = Object.keys(columns);
  const [table] = from.split(' ');
  const page = `WITH found AS (
      SELECT ${row}.created_at, ${row}.id, ${bytes} AS bytes FROM ${from}
      WHERE ${where} AND (${row}.created_at, ${row}.id) > ($9::timestamptz, $10::uuid)
      ORDER BY ${row}.created_at, ${row}.id LIMIT ${PAGE_ROWS}
    ), fitting AS (
      SELECT * FROM (SELECT created_at, id, sum(bytes) OVER (ORDER BY created_at, id) - bytes AS before FROM found) sized
      WHERE before < ${PAGE_BYTES}
    )
    SELECT ${row}.id AS "rowId", ${row}.created_at AS "rowAt", ${names.map((name) => `${columns[name]} AS "${name}"`).join(', ')}
    FROM fitting JOIN ${from.replace(/^(\w+ \w)/, `$1 ON ${row}.id = fitting.id`)} ${joins}
    ORDER BY fitting.created_at, fitting.id`;
  const edge = (way: string) =>
    `(SELECT created_at FROM ${table} WHERE organization_id = o.id AND ${withinDays('created_at', '$2', '$3')} ORDER BY created_at ${way} LIMIT 1)`;
  /** The times of the first and of the last row, or of rows beyond them that the filter leaves out. */
  const readRange = async () => {
    const { rows } = await pool.query<{ first: Date | null; last: Date | null }>({
      text: `SELECT ${edge('ASC')} AS first, ${edge('DESC')} AS last FROM organization o WHERE o.id = $1`,
      values: values.slice(0, 3),
    });
    return { first: Number(rows[0]?.first ?? 0), last: Number(rows[0]?.last ?? 0) };
  };
  let range: Promise<{ first: number; last: number }> | null = null;
  return {
    columns: names.map(columnName),
    async page(after) {
      const [at, id] = after?.split(' ') ?? ['-infinity', '00000000-0000-0000-0000-000000000000'];
      const { rows } = await pool.query<Record<string, Cell> & { rowId: string; rowAt: Date }>({
        name: `export-${kind.toLowerCase()}`,
        text: page,
        values: [...values, at, id],
      });
      const last = rows.at(-1);
      const times = await (range ??= readRange());
      return {
        rows: rows.map((found) => names.map((name) => publicValue(name, found[name] ?? null))),
        next: last ? `${last.rowAt.toISOString()} ${last.rowId}` : null,
        part: last ? (last.rowAt.getTime() - times.first) / Math.max(1, times.last - times.first) : 1,
      };
    },
  };
}

function publicValue(name: string, value: Cell): Cell {
  const type = idTypeOf(name);
  return type && typeof value === 'string' ? encodeId(type, value) : value;
}

function eventSource(pool: pg.Pool, organizationId: string, since: EventPosition, until: EventPosition | null): Source {
  /** How far the first page has come, and how far the log has. */
  let first: number | null = null;
  let last: number | null = null;
  return {
    columns: ['position', 'conversationId', 'version', 'type', 'occurredAt', 'messageId', 'actor', 'data'],
    async page(after) {
      const from = placeOf(after) ?? since;
      const { events, position, more } = await readOrganizationEvents(pool, organizationId, from, PAGE_ROWS, until);
      first ??= Number(position.seq);
      last ??= await readLastSeq(pool);
      return {
        rows: events.map(({ conversationId, event, position: at }) => [
          at,
          encodeId('Conversation', conversationId),
          event.version,
          event.type,
          event.occurredAt,
          event.messageId && encodeId('Message', event.messageId),
          event.actor.kind,
          event.data == null ? null : JSON.stringify(event.data),
        ]),
        next: more ? encodeEventPosition(position) : null,
        part: more ? (Number(position.seq) - first) / Math.max(1, last - first) : 1,
      };
    },
  };
}

async function readLastSeq(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ last: string | null }>('SELECT max(seq)::text AS last FROM event');
  return Number(rows[0]?.last ?? 0);
}
