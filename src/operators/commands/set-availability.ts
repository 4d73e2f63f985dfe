import type { Caller } from '../../access/caller.ts';
import type { Availability } from '../../generated/prisma/enums.ts';
import type { OperatorServices } from '../model.ts';

/** Says whether the operator who asks takes conversations now. */
export async function setAvailability(
  { pool }: Pick<OperatorServices, 'pool'>,
  { organizationId, operatorId }: Pick<Caller, 'organizationId' | 'operatorId'>,
  { availability }: { availability: Availability },
): Promise<{ operatorId: string }> {
  if (operatorId === null) throw new Error('only an operator has an availability');
  await pool.query({
    text: `UPDATE operator SET availability = $3 WHERE id = $1 AND organization_id = $2 AND suspended_at IS NULL`,
    values: [operatorId, organizationId, availability],
  });
  return { operatorId };
}
