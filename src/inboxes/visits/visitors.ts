import { randomBytes } from 'node:crypto';
import { hashCredential } from '../../access/api-keys.ts';
import { contactSelection } from '../../contacts/rows.ts';
import type { Queryable } from '../../db.ts';
import type { Contact } from '../../generated/prisma/client.ts';

/** How long a visitor who has not written is remembered after a visit, as PostgreSQL writes it. */
const FORGOTTEN_AFTER = '20 hours';

/** What the browser of an anonymous visitor comes back with. Works once; only its hash is stored. */
export interface VisitorSecret {
  secret: string;
  hash: string;
}

export function newVisitorSecret(): VisitorSecret {
  const secret = `visitor_${randomBytes(24).toString('base64url')}`;
  return { secret, hash: hashCredential(secret) };
}

/** Adds an anonymous visitor, in one row. */
export async function addVisitor(
  db: Queryable,
  {
    id,
    organizationId,
    hash,
    network,
  }: { id: string; organizationId: string; hash: string; network: string | undefined },
): Promise<Contact> {
  const { rows } = await db.query<Contact>({
    name: 'add-visitor',
    text: `INSERT INTO contact (id, organization_id, anonymous, visitor_hash, network, last_seen_at, forget_after)
      VALUES ($1, $2, true, $3, $4, now(), now() + interval '${FORGOTTEN_AFTER}') RETURNING ${contactSelection}`,
    values: [id, organizationId, hash, network],
  });
  if (!rows[0]) throw new Error('A row that was inserted did not come back.');
  return rows[0];
}

/**
 * The anonymous visitor who has this secret, which is replaced by the next one, and whose tokens end: whoever has left the secret in
 * a browser must not go on reading there. Null if nobody has it. A blocked visitor keeps it.
 */
export async function takeVisitor(
  db: Queryable,
  {
    organizationId,
    hash,
    next,
    network,
  }: { organizationId: string; hash: string; next: string; network: string | undefined },
): Promise<Contact | null> {
  const { rows } = await db.query<Contact>({
    name: 'take-visitor',
    text: `UPDATE contact SET visitor_hash = CASE WHEN blocked_at IS NULL THEN $3 ELSE visitor_hash END,
        network = $4, token_generation = token_generation + 1, last_seen_at = now(), forget_after = now() + interval '${FORGOTTEN_AFTER}'
      WHERE visitor_hash = $1 AND organization_id = $2 AND anonymous RETURNING ${contactSelection}`,
    values: [hash, organizationId, next, network],
  });
  return rows[0] ?? null;
}

/** The row id of the anonymous visitor who has this secret, if they can become somebody. The secret of one who is blocked is destroyed. */
export async function findVisitor(
  db: Queryable,
  { organizationId, hash }: { organizationId: string; hash: string },
): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>({
    name: 'find-visitor',
    text: `WITH destroyed AS (
        UPDATE contact SET visitor_hash = NULL WHERE visitor_hash = $1 AND organization_id = $2 AND blocked_at IS NOT NULL
      ) SELECT id FROM contact WHERE visitor_hash = $1 AND organization_id = $2 AND anonymous AND blocked_at IS NULL`,
    values: [hash, organizationId],
  });
  return rows[0]?.id ?? null;
}

/** Records that a person was seen. Null if they are gone. */
export async function seePerson(db: Queryable, id: string): Promise<Contact | null> {
  const { rows } = await db.query<Contact>({
    name: 'see-person',
    text: `UPDATE contact SET last_seen_at = now() WHERE id = $1 AND erasing_since IS NULL RETURNING ${contactSelection}`,
    values: [id],
  });
  return rows[0] ?? null;
}
