import type pg from 'pg';
import { beginning, decodeEventPosition, encodeEventPosition, type EventPosition } from '../conversations/log/tail.ts';
import { readOrganizationEvents } from '../conversations/lists/organization-events.ts';
import { encodeId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { storedFilter } from './filter.ts';
import { answerOf, recordConditions, recordValues, withinDays } from './list-records.ts';

export const exportKinds = ['RECORDS', 'CONVERSATIONS', 'MESSAGES', 'EVENTS'] as const;
export type ExportKind = (typeof exportKinds)[number];

export type Cell = string | number | Date | null;

export interface Page {
  rows: Cell[][];
  /** Where to read on. Null at the end. */
  next: string | null;
}

/** What is exported, a page at a time. */
export interface Source {
  columns: readonly string[];
  /** How many rows there are about; null if that is not known. */
  count(): Promise<number | null>;
  /** The page after this place; null is the beginning. Reads up to about 8 MiB of text. */
  page(after: string | null): Promise<Page>;
}

/** Rows of one page at most, and the bytes of text after which a page ends. */
const [PAGE_ROWS, PAGE_BYTES] = [500, 8 * 1024 * 1024];

/** What is to be exported from the organization, by what was stored when it was asked for. */
export function sourceOf(pool: pg.Pool, organizationId: string, kind: ExportKind, input: JsonObject): Source {
  if (kind === 'EVENTS')
    return eventSource(pool, organizationId, placeOf(input.since) ?? beginning, placeOf(input.until));
  const values = recordValues(organizationId, storedFilter(input));
  return tableSource(pool, tables[kind], values);
}

const placeOf = (stored: unknown) => (typeof stored === 'string' ? decodeEventPosition(stored) : null);

interface Table {
  columns: Record<string, string>;
  from: string;
  where: string;
  /** The alias of the table that is paged through, and the alias of messages whose text is read. */
  row: 'm' | 'c';
  texts: readonly ('m' | 'a')[];
}

const textOf = (alias: string) =>
  `(SELECT string_agg(f.text, '' ORDER BY f.index) FROM fragment f WHERE f.message_id = ${alias}.id AND f.kind = 'TEXT')`;
const sizeOf = (alias: string) =>
  `coalesce((SELECT sum(octet_length(f.text)) FROM fragment f WHERE f.message_id = ${alias}.id AND f.kind = 'TEXT'), 0)`;

const named = `JOIN organization o ON o.id = c.organization_id
  JOIN agent ON agent.id = c.agent_id LEFT JOIN inbox ON inbox.id = c.inbox_id LEFT JOIN contact ON contact.id = c.contact_id`;
const ofConversation = `($4::uuid IS NULL OR c.agent_id = $4) AND ($5::uuid IS NULL OR c.inbox_id = $5)
  AND $6::text IS NULL AND $7::text IS NULL`;

const tables: Record<Exclude<ExportKind, 'EVENTS'>, Table> = {
  RECORDS: {
    columns: {
      askedAt: 'm.created_at',
      question: textOf('m'),
      answeredAt: 'a.completed_at',
      answer: textOf('a'),
      answerStatus: 'a.status::text',
      agent: 'agent.name',
      inbox: 'inbox.name',
      contact: 'contact.display_name',
      Conversation: 'c.id',
      'Message question': 'm.id',
      'Message answer': 'a.id',
    },
    from: `message m JOIN conversation c ON c.id = m.conversation_id ${named} ${answerOf}`,
    where: recordConditions,
    row: 'm',
    texts: ['m', 'a'],
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
    from: `conversation c ${named}`,
    where: `c.organization_id = $1 AND ${withinDays('c.created_at', '$2', '$3')} AND ${ofConversation}`,
    row: 'c',
    texts: [],
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
    from: `message m JOIN conversation c ON c.id = m.conversation_id ${named}`,
    where: `m.organization_id = $1 AND m.status <> 'IN_PROGRESS' AND ${withinDays('m.created_at', '$2', '$3')} AND ${ofConversation}`,
    row: 'm',
    texts: ['m'],
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

function tableSource(pool: pg.Pool, { columns, from, where, row, texts }: Table, values: unknown[]): Source {
  const names = Object.keys(columns);
  const size = texts.map(sizeOf).join(' + ') || '0';
  const page = `WITH found AS (
      SELECT ${row}.created_at, ${row}.id, ${size} AS bytes FROM ${from}
      WHERE ${where} AND ($8::timestamptz IS NULL OR (${row}.created_at, ${row}.id) > ($8, $9::uuid))
      ORDER BY ${row}.created_at, ${row}.id LIMIT ${PAGE_ROWS}
    ), fitting AS (
      SELECT * FROM (SELECT created_at, id, sum(bytes) OVER (ORDER BY created_at, id) - bytes AS before FROM found) sized
      WHERE before < ${PAGE_BYTES}
    )
    SELECT ${row}.id AS "rowId", ${row}.created_at AS "rowAt", ${names.map((name) => `${columns[name]} AS "${name}"`).join(', ')}
    FROM fitting JOIN ${from.replace(/^(\w+ \w)/, `$1 ON ${row}.id = fitting.id`)}
    ORDER BY fitting.created_at, fitting.id`;
  return {
    columns: names.map(columnName),
    async count() {
      const sql = `SELECT count(*)::int AS count FROM ${from} WHERE ${where}`;
      return (await pool.query<{ count: number }>(sql, values)).rows[0]?.count ?? null;
    },
    async page(after) {
      const [at, id] = after?.split(' ') ?? [];
      const { rows } = await pool.query<Record<string, Cell> & { rowId: string; rowAt: Date }>({
        text: page,
        values: [...values, at ?? null, id ?? null],
      });
      const last = rows.at(-1);
      return {
        rows: rows.map((found) => names.map((name) => publicValue(name, found[name] ?? null))),
        next: last ? `${last.rowAt.toISOString()} ${last.rowId}` : null,
      };
    },
  };
}

function publicValue(name: string, value: Cell): Cell {
  const type = idTypeOf(name);
  return type && typeof value === 'string' ? encodeId(type, value) : value;
}

function eventSource(pool: pg.Pool, organizationId: string, since: EventPosition, until: EventPosition | null): Source {
  return {
    columns: ['position', 'conversationId', 'version', 'type', 'occurredAt', 'messageId', 'actor', 'data'],
    count: () => Promise.resolve(null),
    async page(after) {
      const from = placeOf(after) ?? since;
      const { events, position, more } = await readOrganizationEvents(pool, organizationId, from, PAGE_ROWS, until);
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
      };
    },
  };
}
