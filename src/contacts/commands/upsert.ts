import { InvalidInputError } from '../../errors.ts';
import type { Queryable } from '../../db.ts';
import { ValueReader } from '../../value-reader.ts';
import {
  type ContactIdentity,
  type ContactPatch,
  type ContactServices,
  MAX_METADATA,
  readContact,
  tooLargeMetadata,
} from '../model.ts';

/** Creates the contact with this external ID, or changes it as `updateContact` does. */
export async function upsertContact(
  { pool, newId }: ContactServices,
  { organizationId }: { organizationId: string },
  input: ContactIdentity,
  path: string[] = [],
): Promise<{ contactId: string; created: boolean }> {
  const reader = new ValueReader();
  const patch = readContact(reader, path, input);
  reader.finish();
  return writeContact(pool, { id: newId(), organizationId, patch, path });
}

/** Writes in one statement, so that any number of servers may write the same person at once. `path` is that of the patch in the input. */
export async function writeContact(
  db: Queryable,
  contact: { id: string; organizationId: string; patch: ContactPatch; path: string[] },
): Promise<{ contactId: string; created: boolean }> {
  const { id, organizationId, patch, path } = contact;
  const { rows } = await db.query<{ contactId: string }>({
    name: 'upsert-contact',
    text: upsertSql,
    values: [id, organizationId, JSON.stringify(patch), MAX_METADATA],
  });
  if (!rows[0]) throw new InvalidInputError([tooLargeMetadata(path)]);
  return { contactId: rows[0].contactId, created: rows[0].contactId === id };
}

const merged = `CASE WHEN $3::jsonb ? 'metadata' THEN merge_patch(c.metadata, $3::jsonb->'metadata') ELSE c.metadata END`;

const upsertSql = /* sql */ `
INSERT INTO contact AS c (id, organization_id, external_id, display_name, email, avatar_url, metadata)
VALUES ($1, $2, $3::jsonb->>'externalId', $3::jsonb->>'displayName', $3::jsonb->>'email', $3::jsonb->>'avatarUrl',
  merge_patch('{}', coalesce($3::jsonb->'metadata', '{}')))
ON CONFLICT (organization_id, external_id) DO UPDATE SET
  display_name = CASE WHEN $3::jsonb ? 'displayName' THEN excluded.display_name ELSE c.display_name END,
  email = CASE WHEN $3::jsonb ? 'email' THEN excluded.email ELSE c.email END,
  avatar_url = CASE WHEN $3::jsonb ? 'avatarUrl' THEN excluded.avatar_url ELSE c.avatar_url END,
  anonymous = false,
  metadata = ${merged}
WHERE octet_length((${merged})::text) <= $4
RETURNING c.id AS "contactId"`;
