import type { Pool } from '../db.ts';
import type { Storage } from '../storage/storage.ts';
import { exportFolder } from './exports.ts';

/**
 * Deletes the files of all exports of an organization, since they may hold what was erased, and what was asked for by its words.
 * Exports that have not ended begin anew. May be called again.
 */
export async function removeExports(
  { pool, storage }: { pool: Pool; storage: Storage },
  organizationId: string,
): Promise<void> {
  const { rows } = await pool.query<{ id: string }>({
    text: `UPDATE job SET expires_at = CASE WHEN status IN ('QUEUED', 'RUNNING') THEN NULL ELSE now() END,
        claim = NULL, progress = CASE WHEN status = 'DONE' THEN progress ELSE 0 END,
        state = CASE WHEN status IN ('QUEUED', 'RUNNING') THEN '{}' ELSE state END
      WHERE organization_id = $1 AND kind = 'EXPORT' AND (expires_at IS NOT NULL OR status IN ('QUEUED', 'RUNNING'))
      RETURNING id`,
    values: [organizationId],
  });
  for (const { id } of rows) await storage.removeFolder(exportFolder(id));
  await pool.query({
    text: `UPDATE job SET expires_at = NULL, state = state || '{"parts": []}', input = input - '{userMessage,botMessage}'::text[]
      WHERE organization_id = $1 AND kind = 'EXPORT' AND status NOT IN ('QUEUED', 'RUNNING')`,
    values: [organizationId],
  });
}
