import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { WebhookServices } from '../model.ts';

/** Deletes a webhook: from now on it is hidden and off. Its deliveries are removed bit by bit, since they may be very many. What is being sent at this moment may still arrive. */
export async function deleteWebhook(
  { pool, webhooks }: Pick<WebhookServices, 'pool' | 'webhooks'>,
  { organizationId }: { organizationId: string },
  input: { webhookId: string },
): Promise<{ webhookId: string }> {
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const { rowCount } = await pool.query({
    text: `WITH hidden AS (
        UPDATE webhook SET deleted_at = now(), status = 'OFF'
        WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL RETURNING id
      ), ended AS (DELETE FROM webhook_replay r USING hidden WHERE r.webhook_id = hidden.id)
      SELECT FROM hidden`,
    values: [webhookId, organizationId],
  });
  if (rowCount === 0) throw new NotFoundError(['webhookId']);
  webhooks.clean();
  return { webhookId };
}
