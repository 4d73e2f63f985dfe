import type { Pool } from '../../db.ts';

/** A lane that this server works on. */
export interface Lane {
  webhookId: string;
  lane: number;
  organizationId: string;
}

/** How many lanes of one organization a server works on at the same time. */
export const LANES_OF_ORGANIZATION = 64;

/** How many lanes a server works on at the same time. */
export const LANES_OF_SERVER = 256;

/**
 * Takes lanes that are due and that no living server works on, those of organizations with little work here first. At most as
 * many as there is room for, in all and for each organization.
 */
export async function claimLanes(pool: Pool, me: string, working: Iterable<Lane>): Promise<Lane[]> {
  const busy = new Map<string, number>();
  let room = LANES_OF_SERVER;
  for (const { organizationId } of working) {
    busy.set(organizationId, (busy.get(organizationId) ?? 0) + 1);
    room -= 1;
  }
  if (room <= 0) return [];
  const { rows } = await pool.query<Lane>({
    name: 'claim-webhook-lanes',
    text: claimSql,
    values: [me, [...busy.keys()], [...busy.values()], LANES_OF_ORGANIZATION, room],
  });
  return rows;
}

/** SQL for whether something is due. What became due just now may have been rounded up to the next millisecond. */
export const isDueSql = (row: string) => `${row}.due_at <= now() + interval '1 millisecond'`;

const free = (lane: string) =>
  `(${lane}.owner IS NULL OR NOT EXISTS (SELECT FROM server s WHERE s.id = ${lane}.owner)) AND ${isDueSql(lane)}`;

const claimSql = /* sql */ `
WITH due AS MATERIALIZED (
  SELECT l.webhook_id, l.lane, row_number() OVER (PARTITION BY l.organization_id ORDER BY l.served_at) + coalesce(busy.lanes, 0) AS nth
  FROM webhook_lane l JOIN webhook w ON w.id = l.webhook_id AND w.status = 'ON'
  LEFT JOIN unnest($2::uuid[], $3::int[]) AS busy(organization_id, lanes) ON busy.organization_id = l.organization_id
  WHERE ${free('l')}
), picked AS (
  SELECT l.webhook_id, l.lane FROM webhook_lane l JOIN due USING (webhook_id, lane)
  WHERE due.nth <= $4 AND ${free('l')}
  ORDER BY due.nth LIMIT $5 FOR UPDATE OF l SKIP LOCKED
)
UPDATE webhook_lane l SET owner = $1, served_at = now() FROM picked
WHERE l.webhook_id = picked.webhook_id AND l.lane = picked.lane
RETURNING l.webhook_id AS "webhookId", l.lane, l.organization_id AS "organizationId"`;

/**
 * Gives a lane back. It is due again when its rows say so, or at once when deliveries were put in that this statement cannot see:
 * then `wakes` has risen while it waited for the lane's row. With `restMs` it is due in so many milliseconds, whatever waits.
 */
export async function releaseLane(pool: Pool, me: string, { webhookId, lane }: Lane, restMs: number): Promise<void> {
  await pool.query({
    name: 'release-webhook-lane',
    text: `WITH seen AS MATERIALIZED (SELECT wakes FROM webhook_lane WHERE webhook_id = $1 AND lane = $2),
      next AS MATERIALIZED (
        SELECT least(
          (SELECT now() FROM webhook_delivery
            WHERE webhook_id = $1 AND lane = $2 AND status = 'PENDING' AND tries = 0 LIMIT 1),
          (SELECT min(due_at) FROM webhook_delivery
            WHERE webhook_id = $1 AND lane = $2 AND status = 'PENDING' AND tries > 0)) AS due_at
      )
      UPDATE webhook_lane l SET owner = NULL,
        due_at = CASE WHEN $4::float8 > 0 THEN now() + $4::float8 * interval '1 millisecond'
          WHEN l.wakes <> seen.wakes THEN now() ELSE next.due_at END
      FROM seen, next WHERE l.webhook_id = $1 AND l.lane = $2 AND l.owner = $3`,
    values: [webhookId, lane, me, restMs],
  });
}
