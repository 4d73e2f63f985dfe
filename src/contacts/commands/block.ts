import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { ContactServices } from '../model.ts';

/** Blocks a person: their tokens end, and no message of theirs is taken. Blocking again changes nothing. */
export async function blockContact(
  { pool }: Pick<ContactServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: { contactId: string },
): Promise<{ contactId: string }> {
  const contactId = decodeId('Contact', input.contactId);
  const { rowCount } = await pool.query({
    text: `UPDATE contact SET blocked_at = coalesce(blocked_at, now()),
        token_generation = token_generation + (blocked_at IS NULL)::int
      WHERE id = $1 AND organization_id = $2 AND erasing_since IS NULL`,
    values: [contactId, organizationId],
  });
  if (contactId === null || rowCount === 0) throw new NotFoundError(['contactId']);
  return { contactId };
}

/** Lets a person write again, with new tokens: those that blocking has ended stay so. */
export async function unblockContact(
  { pool }: Pick<ContactServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: { contactId: string },
): Promise<{ contactId: string }> {
  const contactId = decodeId('Contact', input.contactId);
  const { rowCount } = await pool.query({
    text: 'UPDATE contact SET blocked_at = NULL WHERE id = $1 AND organization_id = $2 AND erasing_since IS NULL',
    values: [contactId, organizationId],
  });
  if (contactId === null || rowCount === 0) throw new NotFoundError(['contactId']);
  return { contactId };
}
