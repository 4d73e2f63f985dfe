import type { Queryable } from '../db.ts';
import type { NewId } from '../ids.ts';

/** A person at an address. */
export interface Correspondent {
  contactId: string;
  blocked: boolean;
}

/**
 * The person whose letters come from an address. If it is `vouchedFor`, by the domain of the address or by an operator, the one that
 * is known by it. Else somebody whom only letters tell of, and who is never the same as one that is vouched for: who has forged a
 * sender gets none of what is that person's. Made if there is none, once however many ask.
 */
export async function contactAt(
  { db, newId }: { db: Queryable; newId: NewId },
  organizationId: string,
  { address, name, vouchedFor }: { address: string; name: string | null; vouchedFor: boolean },
): Promise<Correspondent> {
  const known = vouchedFor ? await knownAt(db, organizationId, address) : null;
  if (known) return known;
  const { rows } = await db.query<Correspondent>({
    name: 'contact-of-letters',
    text: `INSERT INTO contact AS c (id, organization_id, display_name, email, anonymous, letter_address, letter_verified, last_seen_at)
      VALUES ($1, $2, $3, $4, true, lower($4), $5, now())
      ON CONFLICT (organization_id, letter_address, letter_verified) DO UPDATE SET
        display_name = coalesce(c.display_name, excluded.display_name), last_seen_at = now()
      RETURNING id AS "contactId", blocked_at IS NOT NULL AS blocked`,
    values: [newId(), organizationId, name, address, vouchedFor],
  });
  if (!rows[0]) throw new Error('a contact was neither made nor found');
  return rows[0];
}

/**
 * Whether a person with this address, known or not, may not write. That somebody is blocked of whom only forged letters may tell
 * blocks no letter that is vouched for.
 */
export async function isBlocked(
  db: Queryable,
  organizationId: string,
  { address, vouchedFor }: { address: string; vouchedFor: boolean },
): Promise<boolean> {
  const { rows } = await db.query<{ blocked: boolean }>({
    name: 'is-address-blocked',
    text: `SELECT EXISTS (SELECT FROM contact WHERE organization_id = $1 AND lower(email) = lower($2)
      AND blocked_at IS NOT NULL AND (NOT $3 OR letter_address IS NULL OR letter_verified)) AS blocked`,
    values: [organizationId, address, vouchedFor],
  });
  return rows[0]?.blocked ?? false;
}

async function knownAt(db: Queryable, organizationId: string, address: string): Promise<Correspondent | null> {
  const { rows } = await db.query<Correspondent>({
    name: 'known-contact-at-address',
    text: `SELECT id AS "contactId", blocked_at IS NOT NULL AS blocked FROM contact
      WHERE organization_id = $1 AND lower(email) = lower($2) AND NOT anonymous ORDER BY created_at, id LIMIT 1`,
    values: [organizationId, address],
  });
  return rows[0] ?? null;
}
