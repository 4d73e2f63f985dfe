import type { Queryable } from '../../db.ts';
import { decodeId } from '../../ids.ts';
import type { Letter } from '../letter/letter.ts';
import { letterLimits } from '../model.ts';
import { readReplyAddress } from '../reply-address.ts';

/** The inbox that a letter came to. */
export interface ReceivingInbox {
  id: string;
  organizationId: string;
  address: string;
  /** Signs its reply addresses. Null: it has none yet. */
  secret: string | null;
}

/** The conversation that a letter goes on with. */
export interface Thread {
  conversationId: string;
  status: 'ACTIVE' | 'HANDED_OFF' | 'ENDED';
  agentId: string;
  contactId: string;
  contactAddress: string | null;
}

/** How many continuations of a conversation are followed. */
const MOST_CONTINUATIONS = 100;

/**
 * The conversation that a letter answers: the one that the reply address names, which only the inbox can sign; else that of a letter
 * which it refers to, if the sender's domain vouches for it and the sender is the contact. Of one that has ended, the last that
 * continues it. Null if there is none.
 */
export async function findThread(
  db: Queryable,
  inbox: ReceivingInbox,
  letter: Pick<Letter, 'to' | 'cc' | 'inReplyTo' | 'references' | 'from'>,
  isVouchedFor: boolean,
): Promise<Thread | null> {
  const named = namedBy(inbox, letter);
  if (named !== null) {
    const thread = await followThread(db, inbox.organizationId, named);
    if (thread) return thread;
  }
  if (!isVouchedFor || !letter.from) return null;
  const referred = [...(letter.inReplyTo === null ? [] : [letter.inReplyTo]), ...letter.references.toReversed()]
    .slice(0, letterLimits.references)
    .flatMap((id) => decodeId('Message', id.split('@', 1)[0]?.toLowerCase() ?? '') ?? []);
  if (referred.length === 0) return null;
  const { rows } = await db.query<{ conversationId: string }>({
    name: 'find-thread-of-letter',
    text: `SELECT c.id AS "conversationId" FROM unnest($1::uuid[]) WITH ORDINALITY AS referred(id, place)
        JOIN message m ON m.id = referred.id AND m.organization_id = $2
        JOIN conversation c ON c.id = m.conversation_id
        JOIN contact k ON k.id = c.contact_id AND lower(k.email) = lower($3)
      ORDER BY place LIMIT 1`,
    values: [referred, inbox.organizationId, letter.from.address],
  });
  return rows[0] ? followThread(db, inbox.organizationId, rows[0].conversationId) : null;
}

/** The conversation of the first reply address of the inbox that a letter went to. */
function namedBy({ address, secret }: ReceivingInbox, { to, cc }: Pick<Letter, 'to' | 'cc'>): string | null {
  if (secret === null) return null;
  for (const recipient of [...to, ...cc]) {
    const conversationId = readReplyAddress({ address, secret }, recipient.address);
    if (conversationId !== null) return conversationId;
  }
  return null;
}

async function followThread(db: Queryable, organizationId: string, conversationId: string): Promise<Thread | null> {
  const { rows } = await db.query<Thread>({
    name: 'follow-thread-of-letter',
    text: `WITH RECURSIVE chain AS (
        SELECT id, status, agent_id, contact_id, 0 AS place FROM conversation
        WHERE id = $2 AND organization_id = $1 AND contact_id IS NOT NULL
      UNION ALL
        SELECT next.*, chain.place + 1 FROM chain CROSS JOIN LATERAL (
          SELECT id, status, agent_id, contact_id FROM conversation n
          WHERE n.organization_id = $1 AND n.continues_id = chain.id AND n.contact_id = chain.contact_id
          ORDER BY id DESC LIMIT 1
        ) AS next
        WHERE chain.status = 'ENDED' AND chain.place < ${MOST_CONTINUATIONS}
      )
      SELECT chain.id AS "conversationId", status, agent_id AS "agentId", contact_id AS "contactId", k.email AS "contactAddress"
      FROM chain JOIN contact k ON k.id = chain.contact_id ORDER BY place DESC LIMIT 1`,
    values: [organizationId, conversationId],
  });
  return rows[0] ?? null;
}
