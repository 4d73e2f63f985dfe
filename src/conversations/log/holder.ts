import type { Queryable } from '../../db.ts';

/** Who has a handoff: an operator, or somebody whom a program names. */
export interface Holder {
  operatorId: string | null;
  assignee: string | null;
}

/** A handoff in force, as it stands under the lock of its conversation. */
export interface HeldHandoff extends Holder {
  id: string;
  reason: string | null;
  queue: string | null;
  metadata: Record<string, never>;
  isWaiting: boolean;
}

/** The handoff with this id. The caller has locked its conversation, so nobody else changes it. */
export async function readHandoff(db: Queryable, id: string): Promise<HeldHandoff> {
  const { rows } = await db.query<HeldHandoff>({
    name: 'read-handoff',
    text: `SELECT id, operator_id AS "operatorId", assignee, reason, queue, metadata, accepted_at IS NULL AS "isWaiting"
      FROM handoff WHERE id = $1`,
    values: [id],
  });
  if (!rows[0]) throw new Error('the handoff in force is gone');
  return rows[0];
}
