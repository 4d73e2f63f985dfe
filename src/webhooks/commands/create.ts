import type { Caller } from '../../access/caller.ts';
import { InvalidInputError } from '../../errors.ts';
import { ValueReader } from '../../value-reader.ts';
import { defaultSelection } from '../default-selection.ts';
import { LANES, webhookLimits, type WebhookServices } from '../model.ts';
import { newSecret } from '../sending/signature.ts';
import { readWebhook, type WebhookInput } from './input.ts';

/** Creates a webhook. It is sent what is committed from now on. Returns the secret, which cannot be read again. */
export async function createWebhook(
  services: Pick<WebhookServices, 'pool' | 'newId' | 'payloads' | 'webhooks'>,
  { organizationId, keyId }: Pick<Caller, 'organizationId' | 'keyId'>,
  input: WebhookInput,
): Promise<{ webhookId: string; secret: string }> {
  const reader = new ValueReader();
  const { url, events, selection } = readWebhook(reader, services, input);
  if (url === undefined && input.url == null) reader.refuse(['url'], 'Is required.', 'REQUIRED');
  reader.finish();
  const webhookId = services.newId();
  const secret = newSecret();
  const { rowCount } = await services.pool.query({
    name: 'create-webhook',
    text: `WITH locked AS (SELECT id FROM organization WHERE id = $2 FOR NO KEY UPDATE),
      made AS (
        INSERT INTO webhook (id, organization_id, url, events, selection, key_id)
        SELECT $1, locked.id, $3, $4, $5, $6 FROM locked
        WHERE (SELECT count(*) FROM webhook WHERE organization_id = locked.id AND deleted_at IS NULL) < $9
        RETURNING id, organization_id
      ), signed AS (
        INSERT INTO webhook_secret (id, organization_id, webhook_id, secret)
        SELECT $7, organization_id, id, $8 FROM made
      )
      INSERT INTO webhook_lane (webhook_id, organization_id, lane)
      SELECT id, organization_id, lane FROM made, generate_series(0, ${LANES - 1}) AS lane`,
    values: [
      webhookId,
      organizationId,
      url,
      events ?? [],
      selection ?? defaultSelection,
      keyId,
      services.newId(),
      secret,
      webhookLimits.webhooks,
    ],
  });
  if (rowCount === 0) {
    throw new InvalidInputError([
      { path: [], code: 'OUT_OF_RANGE', detail: `An organization has at most ${webhookLimits.webhooks} webhooks.` },
    ]);
  }
  return { webhookId, secret };
}
