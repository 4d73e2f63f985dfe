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
  const { rowCount } = await pool.query({
    text: `WITH locked AS (SELECT id, organization_id FROM webhook WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL
        FOR NO KEY UPDATE),
      ranked AS (
        SELECT s.id, row_number() OVER (ORDER BY s.created_at DESC, s.id DESC) AS nth
        FROM locked JOIN webhook_secret s ON s.webhook_id = locked.id
        WHERE s.expires_at IS NULL OR s.expires_at > now()
      ), dropped AS (
        DELETE FROM webhook_secret s USING locked
        WHERE s.webhook_id = locked.id AND NOT EXISTS (SELECT FROM ranked WHERE ranked.id = s.id AND nth < $5)
      ), ending AS (
        UPDATE webhook_secret s SET expires_at = now() + $6 * interval '1 hour' FROM ranked
        WHERE ranked.id = s.id AND nth < $5 AND s.expires_at IS NULL
      )
      INSERT INTO webhook_secret (id, organization_id, webhook_id, secret)
      SELECT $3, organization_id, id, $4 FROM locked`,
    values: [webhookId, organizationId, newId(), secret, webhookLimits.secrets, ROTATION_HOURS],
  });
  if (rowCount === 0) throw new NotFoundError(['webhookId']);
  return { webhookId, secret };
}
