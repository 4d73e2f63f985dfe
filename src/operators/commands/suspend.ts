import { inTransaction } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { OperatorServices } from '../model.ts';
import { endWhatTheyMade } from './end-what-they-made.ts';

/** Suspends an operator: their credentials end with all that was made with them, and they are given no more. Suspending again changes nothing. */
export async function suspendOperator(
  { pool }: Pick<OperatorServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: { operatorId: string },
): Promise<{ operatorId: string }> {
  const operatorId = decodeId('Operator', input.operatorId);
  if (!operatorId) throw new NotFoundError(['operatorId']);
  return inTransaction(pool, async (db) => {
    const { rowCount } = await db.query({
      text: `UPDATE operator SET suspended_at = coalesce(suspended_at, now()), availability = 'OFFLINE',
          token_generation = token_generation + (suspended_at IS NULL)::int
        WHERE id = $1 AND organization_id = $2`,
      values: [operatorId, organizationId],
    });
    if (rowCount === 0) throw new NotFoundError(['operatorId']);
    await endWhatTheyMade(db, { organizationId, operatorId });
    return { operatorId };
  });
}

/** Lets an operator sign in again. The credentials that suspending has ended stay so. */
export async function reinstateOperator(
  { pool }: Pick<OperatorServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: { operatorId: string },
): Promise<{ operatorId: string }> {
  const operatorId = decodeId('Operator', input.operatorId);
  const { rowCount } = await pool.query({
    text: 'UPDATE operator SET suspended_at = NULL WHERE id = $1 AND organization_id = $2',
    values: [operatorId, organizationId],
  });
  if (operatorId === null || rowCount === 0) throw new NotFoundError(['operatorId']);
  return { operatorId };
}
