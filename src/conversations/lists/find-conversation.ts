import type { Caller } from '../../access/caller.ts';
import type { Pool, Queryable } from '../../db.ts';
import type { Conversation } from '../../generated/prisma/client.ts';
import { conversationJson, type ConversationValues } from '../log/columns.ts';
import { conversationOf } from '../log/rows.ts';
import {
  type MessagesPage,
  type MessagesQuery,
  pageOf,
  pageParameters,
  pageSql,
  type PageValues,
  statements,
} from './list-messages.ts';

type Seer = Pick<Caller, 'organizationId' | 'confinedTo'>;

/** A conversation by its id, in one prepared statement. Null if it does not exist or the caller may not see it. */
export async function findConversation(db: Queryable, seer: Seer, id: string): Promise<Conversation | null> {
  const { rows } = await db.query<{ conversation: ConversationValues }>({
    name: 'find-conversation',
    text: `SELECT ${conversationJson('c')} AS conversation FROM conversation c WHERE c.id = $1 AND ${visibleSql(2)}`,
    values: [id, ...visibleParameters(seer)],
  });
  return rows[0] ? conversationOf(rows[0].conversation) : null;
}

/** The same, with a page of its messages. */
export async function findConversationWithMessages(
  pool: Pool,
  seer: Seer,
  query: MessagesQuery,
): Promise<{ conversation: Conversation; messages: MessagesPage } | null> {
  const { rows } = await pool.query<PageValues & { conversation: ConversationValues }>({
    ...withMessages(query),
    values: [...pageParameters(query), ...visibleParameters(seer)],
  });
  return rows[0] ? { conversation: conversationOf(rows[0].conversation), messages: pageOf(query, rows[0]) } : null;
}

const withMessages = statements(
  'find-conversation',
  (form) => `SELECT ${conversationJson('c')} AS conversation, messages.page, messages.bytes
    FROM conversation c CROSS JOIN LATERAL (${pageSql('c.id', form)}) messages WHERE c.id = $1 AND ${visibleSql(7)}`,
);

/** SQL for whether somebody sees a conversation `c`, by four parameters. */
const visibleSql = (first: number) =>
  `c.organization_id = $${first} AND ($${first + 1} OR c.contact_id = $${first + 2} OR c.id = $${first + 3})`;

const visibleParameters = ({ organizationId, confinedTo }: Seer) => [
  organizationId,
  confinedTo === null,
  confinedTo && 'contactId' in confinedTo ? confinedTo.contactId : null,
  confinedTo && 'conversationId' in confinedTo ? confinedTo.conversationId : null,
];
