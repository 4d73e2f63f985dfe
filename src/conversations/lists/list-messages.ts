import type pg from 'pg';
import type { MessageRole } from '../../generated/prisma/enums.ts';
import { fragmentsJson, messageSelection, type MessageRow } from '../log/rows.ts';

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
}

/** Reads a page of messages in one statement, along the index of positions, and stops at the limit. */
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

/** A separate statement for each form of a page, so that each is prepared and planned for its own index. */
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
