import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { TEST_EVENT } from '../event-names.ts';
import type { WebhookServices } from '../model.ts';

/** Sends an event `webhook.test`, as any other event is sent. */
export async function testWebhook(
  { pool, newId, webhooks }: Pick<WebhookServices, 'pool' | 'newId' | 'webhooks'>,
  { organizationId }: { organizationId: string },
  input: { webhookId: string },
): Promise<{ deliveryId: string }> {
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const deliveryId = newId();
  const { rows } = await pool.query<{ made: boolean }>({
    text: `WITH found AS (SELECT * FROM webhook WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR KEY SHARE),
      made AS (
        INSERT INTO webhook_delivery (id, organization_id, webhook_id, lane, event)
        SELECT $3, organization_id, id, 0, $4 FROM found WHERE status = 'ON' RETURNING webhook_id
      ), woken AS (
        UPDATE webhook_lane l SET due_at = now(), wakes = l.wakes + 1 FROM made WHERE l.webhook_id = made.webhook_id AND l.lane = 0
      )
      SELECT EXISTS (SELECT FROM made) AS made FROM found`,
    values: [webhookId, organizationId, deliveryId, TEST_EVENT],
  });
  if (!rows[0]) throw new NotFoundError(['webhookId']);
  if (!rows[0].made)
    throw new InvalidInputError([{ path: ['webhookId'], detail: 'Is switched off. Switch it on first.' }]);
  webhooks.wake();
  return { deliveryId };
}
