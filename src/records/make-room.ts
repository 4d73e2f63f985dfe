import type { Pool } from '../db.ts';
import { MAX_KEPT_BYTES } from './export-lines.ts';

/**
 * Has the oldest exports of the organization expire until the files of all have at most `maxBytes` with so many new ones. Returns the
 * ids of those whose files can go.
 */
export async function makeRoom(
  pool: Pool,
  organizationId: string,
  newBytes: number,
  maxBytes = MAX_KEPT_BYTES,
): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>({
    text: `WITH kept AS (
        SELECT id, sum((state->>'bytes')::numeric) OVER (ORDER BY finished_at DESC, id) AS bytes FROM job
        WHERE organization_id = $1 AND kind = 'EXPORT' AND status = 'DONE' AND expires_at > now()
      ) UPDATE job SET expires_at = now() FROM kept WHERE job.id = kept.id AND kept.bytes + $2 > $3 RETURNING job.id`,
    values: [organizationId, newBytes, maxBytes],
  });
  return rows.map(({ id }) => id);
}
