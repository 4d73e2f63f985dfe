import type { Queryable } from '../db.ts';
import type { Caller } from './caller.ts';

/** An operator who stands behind a credential was suspended, or is no admin any more. Nothing was done. */
export class FallenMakerError extends Error {
  override name = 'FallenMakerError';
}

/**
 * The operators who stand behind what a caller makes: who asks, whoever issued their credential, and those behind its API key.
 * None of them is suspended or becomes less than an admin before this transaction ends; whoever ends them after that sees what
 * was made. Throws `FallenMakerError` if one of them has ended already.
 */
export async function lockMakers(
  db: Queryable,
  { organizationId, keyId, endsWith }: Pick<Caller, 'organizationId' | 'keyId' | 'endsWith'>,
): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    text: `SELECT unnest($3::uuid[]) AS id UNION SELECT unnest(made_by) FROM api_key WHERE id = $2 AND organization_id = $1`,
    values: [organizationId, keyId, endsWith.map(({ operatorId }) => operatorId)],
  });
  const makers = rows.map(({ id }) => id);
  const admins = await lockAdmins(db, organizationId, makers);
  if (admins.length < makers.length) throw new FallenMakerError('one who stands behind the credential has fallen');
  return makers;
}

/** Those of these operators who are admins, and remain so until this transaction ends. */
export async function lockAdmins(db: Queryable, organizationId: string, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    text: `SELECT id FROM operator
      WHERE organization_id = $1 AND id = ANY($2::uuid[]) AND suspended_at IS NULL AND role = 'ADMIN' ORDER BY id FOR SHARE`,
    values: [organizationId, ids],
  });
  return rows.map(({ id }) => id);
}
