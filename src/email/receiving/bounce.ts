import type { Queryable } from '../../db.ts';
import { decodeId } from '../../ids.ts';
import type { Letter } from '../letter/letter.ts';
import { readReplyAddress } from '../reply-address.ts';
import { storedText } from '../stored-text.ts';
import type { ReceivingInbox } from './thread.ts';

/**
 * Notes with the letter that could not be delivered that it came back. It is found only by the reply address, which it was sent from
 * and nobody else can sign: the last letter of that conversation, or the one that the bounce refers to. Says what was done.
 */
export async function recordBounce(db: Queryable, inbox: ReceivingInbox, letter: Letter): Promise<string> {
  const { address, secret } = inbox;
  const recipients = secret === null ? [] : [...letter.to, ...letter.cc];
  const [conversationId] = recipients.flatMap(
    (to) => readReplyAddress({ address, secret: secret ?? '' }, to.address) ?? [],
  );
  if (conversationId === undefined) return 'A letter came back; which one cannot be said.';
  const [messageId] = [letter.inReplyTo ?? '', ...letter.references].flatMap(
    (id) => decodeId('Message', id.split('@', 1)[0]?.toLowerCase() ?? '') ?? [],
  );
  const { rowCount } = await db.query({
    name: 'record-bounce',
    text: `UPDATE letter SET status = 'BOUNCED', detail = $4 WHERE id = (
        SELECT id FROM letter WHERE organization_id = $1 AND conversation_id = $2 AND direction = 'OUT'
          AND status IN ('DONE', 'BOUNCED') AND ($3::uuid IS NULL OR message_id = $3) ORDER BY id DESC LIMIT 1)`,
    values: [inbox.organizationId, conversationId, messageId ?? null, storedText(letter.text.trim(), 2000)],
  });
  return rowCount === 1 ? 'A letter of this inbox came back.' : 'A letter came back; which one cannot be said.';
}
