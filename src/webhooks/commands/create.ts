import type { Caller } from '../../access/caller.ts';
import { lockMakers } from '../../access/makers.ts';
import { inTransaction } from '../../db.ts';
import { InvalidInputError } from '../../errors.ts';
import { ValueReader } from '../../value-reader.ts';
import { defaultSelection } from '../default-selection.ts';
import { LANES, webhookLimits, type WebhookServices } from '../model.ts';
import { newSecret } from '../sending/signature.ts';
import { readWebhook, type WebhookInput } from './input.ts';

/** Creates a webhook. It is sent what is committed from now on. Returns the secret, which cannot be read again. */
export async function createWebhook(
  services: Pick<WebhookServices, 'pool' | 'newId' | 'payloads' | 'webhooks'>,
  caller: Pick<Caller, 'organizationId' | 'keyId' | 'endsWith'>,
  input: WebhookInput,
): Promise<{ webhookId: string; secret: string }> {
  const { organizationId, keyId } = caller;
  const reader = new ValueReader();
  const { url, events, selection } = readWebhook(reader, services, input);
  if (url === undefined && input.url == null) reader.refuse(['url'], 'Is required.', 'REQUIRED');
  reader.finish();
  const webhookId = services.newId();
  const secret = newSecret();
  const { rowCount } = await inTransaction(services.pool, async (db) => {
    // One at a time, so that they are counted.
    await db.query({ text: 'SELECT FROM organization WHERE id = $1 FOR NO KEY UPDATE', values: [organizationId] });
    const makers = await lockMakers(db, caller);
    return db.query({
      name: 'create-webhook',
      text: createSql,
      values: [
        webhookId,
        organizationId,
        url,
        events ?? [],
        selection ?? defaultSelection,
        keyId,
        makers,
        services.newId(),
        secret,
        webhookLimits.webhooks,
      ],
    });
  });
  if (rowCount === 0) {
    throw new InvalidInputError([
      { path: [], code: 'OUT_OF_RANGE', detail: `An organization has at most ${webhookLimits.webhooks} webhooks.` },
    ]);
  }
  return { webhookId, secret };
}

const createSql = /* sql */ `
WITH made AS (
  INSERT INTO webhook (id, organization_id, url, events, selection, key_id, made_by)
  SELECT $1, $2, $3, $4, $5, $6, $7
  WHERE (SELECT count(*) FROM webhook WHERE organization_id = $2 AND deleted_at IS NULL) < $10
  RETURNING id, organization_id
), signed AS (
  INSERT INTO webhook_secret (id, organization_id, webhook_id, secret)
  SELECT $8, organization_id, id, $9 FROM made
)
INSERT INTO webhook_lane (webhook_id, organization_id, lane)
SELECT id, organization_id, lane FROM made, generate_series(0, ${LANES - 1}) AS lane`;
