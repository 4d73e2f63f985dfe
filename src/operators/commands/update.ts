import { inTransaction } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { ValueReader } from '../../value-reader.ts';
import { type OperatorInput, type OperatorServices, readOperator, takenEmail } from '../model.ts';
import { endWhatTheyMade } from './end-what-they-made.ts';

/**
 * Changes an operator. Another role ends their credentials, since open sockets know what the old one allowed; whoever is no longer
 * an admin loses what was made with them too.
 */
export async function updateOperator(
  { pool }: Pick<OperatorServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: OperatorInput & { operatorId: string },
): Promise<{ operatorId: string }> {
  const operatorId = decodeId('Operator', input.operatorId);
  if (!operatorId) throw new NotFoundError(['operatorId']);
  const reader = new ValueReader();
  const patch = readOperator(reader, input);
  reader.finish();
  const updated = inTransaction(pool, async (db) => {
    const { rowCount } = await db.query({
      name: 'update-operator',
      text: `UPDATE operator SET
        name = coalesce($3::jsonb->>'name', name),
        email = CASE WHEN $3::jsonb ? 'email' THEN $3::jsonb->>'email' ELSE email END,
        avatar_url = CASE WHEN $3::jsonb ? 'avatarUrl' THEN $3::jsonb->>'avatarUrl' ELSE avatar_url END,
        role = coalesce(($3::jsonb->>'role')::"OperatorRole", role),
        token_generation = token_generation + (($3::jsonb->>'role')::"OperatorRole" IS DISTINCT FROM role AND $3::jsonb ? 'role')::int
      WHERE id = $1 AND organization_id = $2`,
      values: [operatorId, organizationId, JSON.stringify(patch)],
    });
    if (rowCount === 0) throw new NotFoundError(['operatorId']);
    if (patch.role === 'AGENT') await endWhatTheyMade(db, { organizationId, operatorId });
    return { operatorId };
  });
  return updated.catch((error: unknown) => {
    throw takenEmail(error) ?? error;
  });
}
