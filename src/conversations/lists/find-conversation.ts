import type { Caller } from '../../access/caller.ts';
import type { Queryable } from '../../db.ts';
import type { Conversation } from '../../generated/prisma/client.ts';
import { conversationJson, type ConversationValues } from '../log/columns.ts';
import { conversationOf } from '../log/rows.ts';

/** A conversation by its id, in one prepared statement. Null if it does not exist or the caller may not see it. */
export async function findConversation(
  db: Queryable,
  { organizationId, confinedTo }: Pick<Caller, 'organizationId' | 'confinedTo'>,
  id: string,
): Promise<Conversation | null> {
  const { rows } = await db.query<{ conversation: ConversationValues }>({
    name: 'find-conversation',
    text: `SELECT ${conversationJson('c')} AS conversation FROM conversation c
      WHERE c.id = $1 AND c.organization_id = $2 AND ($3 OR c.contact_id = $4 OR c.id = $5)`,
    values: [
      id,
      organizationId,
      confinedTo === null,
      confinedTo && 'contactId' in confinedTo ? confinedTo.contactId : null,
      confinedTo && 'conversationId' in confinedTo ? confinedTo.conversationId : null,
    ],
  });
  return rows[0] ? conversationOf(rows[0].conversation) : null;
}
