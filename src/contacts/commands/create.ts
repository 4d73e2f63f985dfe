import pg from 'pg';
import { InvalidInputError } from '../../errors.ts';
import { ValueReader } from '../../value-reader.ts';
import { type ContactInput, type ContactServices, readContact } from '../model.ts';

/** Creates a contact. Throws `InvalidInputError` if the organization has one with this external ID. */
export async function createContact(
  { pool, newId }: ContactServices,
  { organizationId }: { organizationId: string },
  input: ContactInput,
): Promise<{ contactId: string }> {
  const reader = new ValueReader();
  const patch = readContact(reader, [], input);
  reader.finish();
  const contactId = newId();
  const inserted = pool.query({
    name: 'insert-contact',
    text: `INSERT INTO contact (id, organization_id, external_id, display_name, email, avatar_url, metadata)
      VALUES ($1, $2, $3::jsonb->>'externalId', $3::jsonb->>'displayName', $3::jsonb->>'email', $3::jsonb->>'avatarUrl',
        merge_patch('{}', coalesce($3::jsonb->'metadata', '{}')))`,
    values: [contactId, organizationId, JSON.stringify(patch)],
  });
  await inserted.catch((error: unknown) => {
    throw takenExternalId(error) ?? error;
  });
  return { contactId };
}

/** The failure if another contact has the external ID. Null for other errors. */
export function takenExternalId(error: unknown): InvalidInputError | null {
  if (!(error instanceof pg.DatabaseError) || error.constraint !== 'contact_organization_id_external_id_key')
    return null;
  const detail = 'Belongs to another contact.';
  return new InvalidInputError([{ path: ['externalId'], code: 'DUPLICATE', detail }]);
}
