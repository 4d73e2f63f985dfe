import { type InputIssue, InvalidInputError } from '../../errors.ts';
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
  const { id, organizationId, patch } = contact;
  const { rows } = await db.query<{ contactId: string }>({
    name: 'upsert-contact',
    text: upsertSql,
    values: [id, organizationId, JSON.stringify(patch), MAX_METADATA],
  });
  if (!rows[0]) throw new InvalidInputError([await whyNotWritten(db, contact)]);
  return { contactId: rows[0].contactId, created: rows[0].contactId === id };
}

async function whyNotWritten(
  db: Queryable,
  { organizationId, patch, path }: { organizationId: string; patch: ContactPatch; path: string[] },
): Promise<InputIssue> {
  const { rowCount } = await db.query({
    text: 'SELECT FROM contact WHERE organization_id = $1 AND external_id = $2 AND erasing_since IS NOT NULL',
    values: [organizationId, patch.externalId],
  });
  if (!rowCount) return tooLargeMetadata(path);
  const detail = 'The person is being erased. Afterwards the ID can be used again.';
  return { path: [...path, 'externalId'], code: 'NOT_ALLOWED', detail };
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
WHERE c.erasing_since IS NULL AND octet_length((${merged})::text) <= $4
RETURNING c.id AS "contactId"`;
