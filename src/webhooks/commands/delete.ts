import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { WebhookServices } from '../model.ts';

/** Deletes a webhook with its deliveries. What is being sent at this moment may still arrive. */
export async function deleteWebhook(
  { pool }: Pick<WebhookServices, 'pool'>,
  { organizationId }: { organizationId: string },
  input: { webhookId: string },
): Promise<{ webhookId: string }> {
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const { rowCount } = await pool.query({
    text: 'DELETE FROM webhook WHERE id = $1 AND organization_id = $2',
    values: [webhookId, organizationId],
  });
  if (rowCount === 0) throw new NotFoundError(['webhookId']);
  return { webhookId };
}
