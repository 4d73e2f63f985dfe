import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { ValueReader } from '../../value-reader.ts';
import { type ContactInput, type ContactServices, MAX_METADATA, readContact, tooLargeMetadata } from '../model.ts';
import { takenExternalId } from './create.ts';

/** Changes what is known of a person. Metadata is added to (RFC 7396). Whoever is given an external ID is no longer anonymous. */
export async function updateContact(
  { pool }: Pick<ContactServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: ContactInput & { contactId: string },
): Promise<{ contactId: string }> {
  const contactId = decodeId('Contact', input.contactId);
  if (!contactId) throw new NotFoundError(['contactId']);
  const reader = new ValueReader();
  const patch = readContact(reader, [], input);
  reader.finish();
  const updated = pool.query<{ changed: boolean }>({
    name: 'update-contact',
    text: updateSql,
    values: [contactId, organizationId, JSON.stringify(patch), MAX_METADATA],
  });
  const { rows } = await updated.catch((error: unknown) => {
    throw takenExternalId(error) ?? error;
  });
  if (!rows[0]) throw new NotFoundError(['contactId']);
  if (!rows[0].changed) throw new InvalidInputError([tooLargeMetadata([])]);
  return { contactId };
}

const updateSql = /* sql */ `
WITH locked AS (
  SELECT *, CASE WHEN $3::jsonb ? 'metadata' THEN merge_patch(metadata, $3::jsonb->'metadata') ELSE metadata END AS merged
  FROM contact WHERE id = $1 AND organization_id = $2 AND erasing_since IS NULL FOR NO KEY UPDATE
), changed AS (
  UPDATE contact c SET
    external_id = CASE WHEN $3::jsonb ? 'externalId' THEN $3::jsonb->>'externalId' ELSE c.external_id END,
    display_name = CASE WHEN $3::jsonb ? 'displayName' THEN $3::jsonb->>'displayName' ELSE c.display_name END,
    email = CASE WHEN $3::jsonb ? 'email' THEN $3::jsonb->>'email' ELSE c.email END,
    avatar_url = CASE WHEN $3::jsonb ? 'avatarUrl' THEN $3::jsonb->>'avatarUrl' ELSE c.avatar_url END,
    anonymous = c.anonymous AND $3::jsonb->>'externalId' IS NULL,
    visitor_hash = CASE WHEN $3::jsonb->>'externalId' IS NULL THEN c.visitor_hash END,
    letter_address = CASE WHEN $3::jsonb->>'externalId' IS NULL THEN c.letter_address END,
    metadata = locked.merged
  FROM locked WHERE c.id = locked.id AND octet_length(locked.merged::text) <= $4
  RETURNING c.id
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM locked`;
