import type pg from 'pg';
import type { MessageRole } from '../../generated/prisma/enums.ts';
import { fragmentsJson, messageSelection, type MessageRow } from '../log/rows.ts';

/** Which messages of a conversation a page holds. */
export interface MessagesQuery {
  conversationId: string;
  /** Null: all. */
  roles: readonly MessageRole[] | null;
  /** Also replies that a later one replaces. */
  includeSuperseded: boolean;
  /** Only those after this position. */
  after: { position: number } | null;
  before: { position: number } | null;
  limit: number;
  /** From the newest. */
  inverted: boolean;
  /** Whether to read their fragments too. */
  withFragments: boolean;
}

/** A page of messages in the order asked for, in one statement. It reads along the index of positions and stops at the limit. */
export async function listMessages(pool: pg.Pool, query: MessagesQuery): Promise<MessageRow[]> {
  const { rows } = await pool.query<MessageRow>({
    ...statementFor(query),
    values: [
      query.conversationId,
      query.roles,
      query.after?.position ?? -1,
      query.before?.position ?? 2 ** 31 - 1,
      query.limit,
    ],
  });
  return rows;
}

/** One statement for each form of a page, so that each is prepared, and planned for its index alone. */
function statementFor({ inverted, includeSuperseded, withFragments }: MessagesQuery) {
  const form = [inverted ? 'newest' : 'oldest', includeSuperseded ? 'all' : 'latest', withFragments ? 'whole' : 'bare'];
  const fragments = withFragments ? `, ${fragmentsJson('m')} AS fragments` : '';
  const superseded = includeSuperseded
    ? ''
    : 'AND NOT EXISTS (SELECT FROM message later WHERE later.supersedes_id = m.id)';
  return {
    name: `list-messages-${form.join('-')}`,
    text: `SELECT ${messageSelection('m')}${fragments} FROM message m
      WHERE m.conversation_id = $1 AND m.position > $3 AND m.position < $4
        AND ($2::"MessageRole"[] IS NULL OR m.role = ANY ($2::"MessageRole"[])) ${superseded}
      ORDER BY m.position ${inverted ? 'DESC' : 'ASC'} LIMIT $5`,
  };
}
