import type pg from 'pg';
import type { Caller } from '../../access/caller.ts';
import { lockAdmins, lockMakers } from '../../access/makers.ts';
import { inTransaction } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { ValueReader } from '../../value-reader.ts';
import type { WebhookServices } from '../model.ts';
import { readWebhook, type WebhookInput } from './input.ts';

export interface UpdateWebhookInput extends WebhookInput {
  webhookId: string;
  status?: 'ON' | 'OFF' | null | undefined;
  adopt?: boolean | null | undefined;
}

/**
 * Changes a webhook. Whoever changes where it goes or what it shows lends it the rights of their key, and so does whoever adopts
 * it. Switched on, it is sent what is committed from now on, and first what still waits.
 */
export async function updateWebhook(
  services: Pick<WebhookServices, 'pool' | 'payloads' | 'webhooks'>,
  caller: Pick<Caller, 'organizationId' | 'keyId' | 'endsWith'>,
  input: UpdateWebhookInput,
): Promise<{ webhookId: string }> {
  const { organizationId, keyId } = caller;
  const webhookId = decodeId('Webhook', input.webhookId);
  if (!webhookId) throw new NotFoundError(['webhookId']);
  const reader = new ValueReader();
  const { url, events, selection } = readWebhook(reader, services, input);
  reader.finish();
  const adopts = input.adopt === true || url !== undefined || selection !== undefined;
  const { rows } = await inTransaction(services.pool, async (db) => {
    const makers = adopts ? await lockMakers(db, caller) : await lockItsAdmins(db, organizationId, webhookId);
    return db.query<{ changed: boolean }>({
      name: 'update-webhook',
      text: updateSql,
      values: [
        webhookId,
        organizationId,
        url ?? null,
        events ?? null,
        selection ?? null,
        input.status ?? null,
        adopts,
        keyId,
        'An operator switched it off.',
        makers,
      ],
    });
  });
  if (!rows[0]) throw new NotFoundError(['webhookId']);
  if (!rows[0].changed) {
    const detail = 'The API key or the operator whose rights it reads with is no longer valid. Adopt it with yours.';
    throw new InvalidInputError([{ path: ['status'], detail }]);
  }
  services.webhooks.wake();
  return { webhookId };
}

/** The admins who stand behind a webhook. */
async function lockItsAdmins(db: pg.PoolClient, organizationId: string, webhookId: string): Promise<string[]> {
  const { rows } = await db.query<{ madeBy: string[] }>({
    text: 'SELECT made_by AS "madeBy" FROM webhook WHERE id = $1 AND organization_id = $2',
    values: [webhookId, organizationId],
  });
  return lockAdmins(db, organizationId, rows[0]?.madeBy ?? []);
}

/** `$10` are the makers from now on, or the admins among those of now. */
const updateSql = /* sql */ `
WITH locked AS (
  SELECT w.*, w.made_by <@ $10::uuid[] AND (w.key_id IS NULL OR EXISTS (SELECT FROM api_key k WHERE k.id = w.key_id
    AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()))) AS readable
  FROM webhook w WHERE w.id = $1 AND w.organization_id = $2 AND w.deleted_at IS NULL FOR NO KEY UPDATE OF w
), changed AS (
  UPDATE webhook w SET
    url = coalesce($3, w.url), events = coalesce($4::text[], w.events), selection = coalesce($5, w.selection),
    key_id = CASE WHEN $7 THEN $8::uuid ELSE w.key_id END, made_by = CASE WHEN $7 THEN $10 ELSE w.made_by END,
    status = coalesce($6::"WebhookStatus", w.status),
    disabled_reason = CASE $6::"WebhookStatus" WHEN 'ON' THEN NULL WHEN 'OFF' THEN coalesce(w.disabled_reason, $9) ELSE w.disabled_reason END,
    disabled_at = CASE $6::"WebhookStatus" WHEN 'ON' THEN NULL WHEN 'OFF' THEN coalesce(w.disabled_at, now()) ELSE w.disabled_at END,
    failing_since = CASE WHEN $6 = 'ON' AND w.status = 'OFF' OR $3 IS NOT NULL THEN NULL ELSE w.failing_since END,
    since = CASE WHEN $6 = 'ON' AND w.status = 'OFF' THEN pg_current_snapshot()::text ELSE w.since END,
    since_epoch = CASE WHEN $6 = 'ON' AND w.status = 'OFF' THEN current_epoch() ELSE w.since_epoch END
  FROM locked WHERE w.id = locked.id AND (locked.readable OR $7 OR $6 IS DISTINCT FROM 'ON')
  RETURNING w.id
)
SELECT EXISTS (SELECT FROM changed) AS changed FROM locked`;
