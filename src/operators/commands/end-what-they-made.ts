import type pg from 'pg';

const WHY = 'The operator behind it was suspended or is no longer an admin. Another admin may adopt it.';

/**
 * Revokes the API keys that an operator stands behind, and switches such webhooks off. The transaction has ended the operator
 * before: so whatever was made with their credentials is seen here, and nothing more is made.
 */
export async function endWhatTheyMade(
  db: pg.PoolClient,
  { organizationId, operatorId }: { organizationId: string; operatorId: string },
): Promise<void> {
  // In the order of the ids, so that two that end at once never wait for each other.
  await db.query({
    text: `WITH made AS (
        SELECT id FROM api_key WHERE organization_id = $1 AND made_by @> ARRAY[$2::uuid] AND revoked_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
      ) UPDATE api_key SET revoked_at = now() FROM made WHERE api_key.id = made.id`,
    values: [organizationId, operatorId],
  });
  await db.query({
    text: `WITH made AS (
        SELECT id FROM webhook WHERE organization_id = $1 AND made_by @> ARRAY[$2::uuid] AND status = 'ON'
        ORDER BY id FOR NO KEY UPDATE
      ) UPDATE webhook SET status = 'OFF', disabled_reason = $3, disabled_at = now() FROM made WHERE webhook.id = made.id`,
    values: [organizationId, operatorId, WHY],
  });
}
