import type pg from 'pg';
import type { MessageRole } from '../../generated/prisma/enums.ts';
import { companions } from '../log/companions.ts';
import {
  bytesOf,
  fragmentBytes,
  fragmentsJson,
  messageColumn,
  messageJson,
  type MessageValues,
} from '../log/columns.ts';
import { messageOf, type MessageRow } from '../log/rows.ts';

/** Describes a page of a conversation's messages. */
export interface MessagesQuery {
  conversationId: string;
  /** Null means all roles. */
  roles: readonly MessageRole[] | null;
  /** Include replies that a later one replaced. */
  includeSuperseded: boolean;
  /** Only those after this position. */
  after: { position: number } | null;
  before: { position: number } | null;
  limit: number;
  /** Newest first. */
  inverted: boolean;
  /** Whether to read the fragments too. */
  withFragments: boolean;
  /** Whether to read the companions too. */
  withCompanions: boolean;
  /** How many bytes of both to read at most. Of the messages beyond, in the order of the page, neither is read. */
  most: number;
}

/**
 * A page of messages in the order asked for, in one statement, and how many bytes of fragments and companions it holds. It
 * reads along the index of positions and stops at the limit.
 */
export async function listMessages(
  pool: pg.Pool,
  query: MessagesQuery,
): Promise<{ rows: MessageRow[]; bytes: number }> {
  // All as one JSON value, which Node reads faster than rows and columns.
  const { rows: result } = await pool.query<{ page: MessageValues[]; bytes: number }>({
    ...statementFor(query),
    values: [
      query.conversationId,
      query.roles,
      query.after?.position ?? -1,
      query.before?.position ?? 2 ** 31 - 1,
      query.limit,
      query.most,
    ],
  });
  const { page = [], bytes = 0 } = result[0] ?? {};
  return { rows: page.map(messageOf), bytes };
}

type Form = Pick<MessagesQuery, 'inverted' | 'includeSuperseded' | 'withFragments' | 'withCompanions'>;

const statements = new Map<string, { name: string; text: string }>();

/** One statement for each form of a page, so that each is prepared, and planned for its index alone. */
function statementFor(query: Form): { name: string; text: string } {
  const form = [
    query.inverted ? 'newest' : 'oldest',
    query.includeSuperseded ? 'all' : 'latest',
    query.withFragments ? 'whole' : 'bare',
    query.withCompanions ? 'accompanied' : 'alone',
  ].join('-');
  const statement = statements.get(form) ?? { name: `list-messages-${form}`, text: textFor(query) };
  statements.set(form, statement);
  return statement;
}

function textFor({ inverted, includeSuperseded, withFragments, withCompanions }: Form): string {
  const superseded = includeSuperseded
    ? ''
    : 'AND NOT EXISTS (SELECT FROM message later WHERE later.supersedes_id = m.id)';
  const order = `m.position ${inverted ? 'DESC' : 'ASC'}`;
  const weights = [
    ...(withFragments ? [fragmentBytes('m')] : []),
    ...(withCompanions ? companions.map((field) => bytesOf(messageColumn('m', field))) : []),
  ];
  const fitting = (sql: string) => `CASE WHEN m.bytes <= $6 THEN ${sql} END`;
  const large = companions.map(
    (field) => [field, withCompanions ? fitting(messageColumn('m', field)) : 'NULL::jsonb'] as const,
  );
  const message = messageJson('m', {
    ...(withFragments && { fragments: fitting(fragmentsJson('m')) }),
    isCut: 'm.bytes > $6',
    instead: Object.fromEntries(large),
  });
  return `WITH page AS (
        SELECT m.* FROM message m
        WHERE m.conversation_id = $1 AND m.position > $3 AND m.position < $4
          AND ($2::"MessageRole"[] IS NULL OR m.role = ANY ($2::"MessageRole"[])) ${superseded}
        ORDER BY ${order} LIMIT $5
      ), weighed AS (
        SELECT m.*, (sum(${weights.join(' + ') || '0'}) OVER (ORDER BY ${order}))::float8 AS bytes FROM page m
      )
      SELECT coalesce(json_agg(${message} ORDER BY ${order}), '[]') AS page,
        coalesce(max(m.bytes) FILTER (WHERE m.bytes <= $6), 0) AS bytes FROM weighed m`;
}
