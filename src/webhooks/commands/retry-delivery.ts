import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { WebhookServices } from '../model.ts';

/** Sends a delivery again at once, whatever its status: the same bytes under the same id. One that has not been tried yet waits its turn. */
export async function retryDelivery(
  { pool, webhooks }: Pick<WebhookServices, 'pool' | 'webhooks'>,
  { organizationId }: { organizationId: string },
  input: { deliveryId: string },
): Promise<{ deliveryId: string }> {
  const deliveryId = decodeId('WebhookDelivery', input.deliveryId);
  if (!deliveryId) throw new NotFoundError(['deliveryId']);
  const { rowCount } = await pool.query({
    text: `WITH again AS (
        UPDATE webhook_delivery SET status = 'PENDING', due_at = CASE WHEN tries > 0 THEN now() END
        WHERE id = $1 AND organization_id = $2
          AND EXISTS (SELECT FROM webhook w WHERE w.id = webhook_id AND w.deleted_at IS NULL)
        RETURNING webhook_id, lane
      )
      UPDATE webhook_lane l SET due_at = now(), wakes = l.wakes + 1
      FROM again WHERE l.webhook_id = again.webhook_id AND l.lane = again.lane`,
    values: [deliveryId, organizationId],
  });
  if (rowCount === 0) throw new NotFoundError(['deliveryId']);
  webhooks.wake();
  return { deliveryId };
}
