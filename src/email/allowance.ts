import type { Queryable } from '../db.ts';
import { letterLimits } from './model.ts';

const most = letterLimits.automaticPerHour;

/** SQL for whether an address has had all the automatic answers of an hour. `times` are those that it was last sent one at. */
const isSpent = (times: string) => /* sql */ `cardinality(${times}) >= ${most}
  AND ${times}[cardinality(${times}) - ${most - 1}] > clock_timestamp() - interval '1 hour'`;

/**
 * SQL, for a CTE, that takes one of the automatic answers that an address gets in an hour; it returns no row if none is left. Decided
 * under the lock of the address's row, so servers that send at once take no more together. `from` gives `organization_id` and `address`.
 */
export const takeAllowanceSql = (from: string) => /* sql */ `
  INSERT INTO letter_allowance AS a (organization_id, address, times)
  SELECT organization_id, lower(address), ARRAY[clock_timestamp()] FROM ${from}
  ON CONFLICT (organization_id, address) DO UPDATE
    SET times = (a.times || clock_timestamp())[greatest(1, cardinality(a.times) + 2 - ${most}):]
    WHERE NOT (${isSpent('a.times')})
  RETURNING 1`;

/** Whether an address has automatic answers left. One that has none is not even thought about. */
export async function hasAllowance(db: Queryable, organizationId: string, address: string): Promise<boolean> {
  const { rows } = await db.query<{ spent: boolean }>({
    name: 'has-letter-allowance',
    text: `SELECT ${isSpent('times')} AS spent FROM letter_allowance WHERE organization_id = $1 AND address = lower($2)`,
    values: [organizationId, address],
  });
  return !rows[0]?.spent;
}
