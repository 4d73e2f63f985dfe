import { inTransaction } from '../../db.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { ROTATION_HOURS, webhookLimits, type WebhookServices } from '../model.ts';
import { newSecret } from '../sending/signature.ts';

/** Gives a webhook a new secret. The one before signs as well for 24 hours. Returns the new one, which cannot be read again. */
export async function rotateSecret(
  { pool, newId }: Pick<WebhookServices, 'pool' | 'newId'>,
  { organizationId }: { organizationId: string },
  input: { webhookId: string },
): Promise<{ webhookId: string; secret: string }> {
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const secret = newSecret();
  await inTransaction(pool, async (client) => {
    // In a statement of its own, so that the next one sees the secrets that others have made meanwhile.
    const { rowCount } = await client.query({
      text: 'SELECT FROM webhook WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE',
      values: [webhookId, organizationId],
    });
    if (rowCount === 0) throw new NotFoundError(['webhookId']);
    await client.query({
      text: rotateSql,
      values: [webhookId, organizationId, newId(), secret, webhookLimits.secrets, ROTATION_HOURS],
    });
  });
  return { webhookId, secret };
}

const rotateSql = /* sql */ `
WITH ranked AS (
  SELECT id, row_number() OVER (ORDER BY created_at DESC, id DESC) AS nth FROM webhook_secret
  WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > now())
), dropped AS (
  DELETE FROM webhook_secret s
  WHERE s.webhook_id = $1 AND NOT EXISTS (SELECT FROM ranked WHERE ranked.id = s.id AND nth < $5)
), ending AS (
  UPDATE webhook_secret s SET expires_at = now() + $6 * interval '1 hour' FROM ranked
  WHERE ranked.id = s.id AND nth < $5 AND s.expires_at IS NULL
)
INSERT INTO webhook_secret (id, organization_id, webhook_id, secret, created_at) VALUES ($3, $2, $1, $4, clock_timestamp())`;
