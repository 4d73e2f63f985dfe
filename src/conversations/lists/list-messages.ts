import type { Pool } from '../../db.ts';
import type { Conversation } from '../../generated/prisma/client.ts';
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
  conversation: Pick<Conversation, 'id' | 'organizationId'>;
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

/** Rows of a page, and how many bytes of fragments and companions they hold. */
export interface MessagesPage {
  rows: MessageRow[];
  bytes: number;
}

/** A page as a statement returns it: one JSON value, which Node reads faster than rows and columns. */
export interface PageValues {
  page: MessageValues[];
  bytes: number;
}

export const pageOf = ({ conversation }: MessagesQuery, { page, bytes }: PageValues): MessagesPage => ({
  rows: page.map((values) => messageOf(conversation, values)),
  bytes,
});

/** A page of messages in the order asked for, in one statement. It reads along the index of positions and stops at the limit. */
export async function listMessages(pool: Pool, query: MessagesQuery): Promise<MessagesPage> {
  const { rows } = await pool.query<PageValues>({ ...statementFor(query), values: pageParameters(query) });
  return rows[0] ? pageOf(query, rows[0]) : { rows: [], bytes: 0 };
}

/** The parameters of `pageSql`, from the first on. */
export const pageParameters = (query: MessagesQuery) => [
  query.conversation.id,
  query.roles,
  query.after?.position ?? -1,
  query.before?.position ?? 2 ** 31 - 1,
  query.limit,
  query.most,
];

/** What of a page decides the text of its statement. */
type PageForm = Pick<MessagesQuery, 'inverted' | 'includeSuperseded' | 'withFragments' | 'withCompanions'>;

/** Names statements, so that each is prepared for one form, and planned for its index alone. */
const formName = (form: PageForm) =>
  [
    form.inverted ? 'newest' : 'oldest',
    form.includeSuperseded ? 'all' : 'latest',
    form.withFragments ? 'whole' : 'bare',
    form.withCompanions ? 'accompanied' : 'alone',
  ].join('-');

/** A statement for each form of a page, made once. */
export function statements(
  name: string,
  text: (form: PageForm) => string,
): (form: PageForm) => { name: string; text: string } {
  const made = new Map<string, { name: string; text: string }>();
  return (form) => {
    const key = formName(form);
    const statement = made.get(key) ?? { name: `${name}-${key}`, text: text(form) };
    made.set(key, statement);
    return statement;
  };
}

const statementFor = statements('list-messages', (form) => pageSql('$1', form));

/** SQL for a page, as `PageValues`, of the conversation of which `conversation` is the id in SQL. */
export function pageSql(
  conversation: string,
  { inverted, includeSuperseded, withFragments, withCompanions }: PageForm,
): string {
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
        WHERE m.conversation_id = ${conversation} AND m.position > $3 AND m.position < $4
          AND ($2::"MessageRole"[] IS NULL OR m.role = ANY ($2::"MessageRole"[])) ${superseded}
        ORDER BY ${order} LIMIT $5
      ), weighed AS (
        SELECT m.*, (sum(${weights.join(' + ') || '0'}) OVER (ORDER BY ${order}))::float8 AS bytes FROM page m
      )
      SELECT coalesce(json_agg(${message} ORDER BY ${order}), '[]') AS page,
        coalesce(max(m.bytes) FILTER (WHERE m.bytes <= $6), 0) AS bytes FROM weighed m`;
}
