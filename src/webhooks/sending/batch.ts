import type { KeyObject } from 'node:crypto';
import type { Pool } from '../../db.ts';
import { keyScopes, type Viewer } from '../../access/viewer.ts';
import { viewerOf } from '../../access/api-keys.ts';
import { isDueSql, type Lane } from './lanes.ts';
import { keyOf } from './signature.ts';

/** First tries, and later ones, that are read of a lane at a time. */
const [FIRST_TRIES, LATER_TRIES] = [256, 4];

/** A delivery that is due. */
export interface DueDelivery {
  id: string;
  event: string;
  conversationId: string | null;
  seq: string | null;
  tries: number;
  /** Whether its payload was made before. */
  made: boolean;
  /** How often its payload was discarded. */
  discarded: number;
  createdAt: Date;
}

/** What is due in a lane, and how it is sent. */
export interface Batch {
  url: URL;
  selection: string;
  /** What tries are signed with. */
  keys: KeyObject[];
  /** With whose rights the events are read. Null if the key is no longer valid. */
  viewer: Viewer | null;
  due: DueDelivery[];
}

interface Row {
  url: string;
  selection: string;
  organizationId: string;
  secrets: string[];
  keyId: string | null;
  key: { name: string; scopes: string[]; expiresAt: string | null } | null;
  due: (Omit<DueDelivery, 'createdAt'> & { createdAt: string })[];
}

/** The first tries in the order of the log, then the later ones that are due. Null if the webhook is off or gone. */
export async function readBatch(pool: Pool, { webhookId, lane }: Lane): Promise<Batch | null> {
  const { rows } = await pool.query<Row>({
    name: 'read-webhook-batch',
    text: batchSql,
    values: [webhookId, lane, FIRST_TRIES, LATER_TRIES],
  });
  const [row] = rows;
  if (!row) return null;
  const due = row.due.map((delivery) => ({ ...delivery, createdAt: new Date(delivery.createdAt) }));
  const { url, selection, secrets } = row;
  return { url: new URL(url), selection, keys: secrets.map(keyOf), viewer: readerOf(row), due };
}

/** Without a key an operator made the webhook, who may do everything: it is off once they may not. */
function readerOf({ keyId, key, organizationId }: Row): Viewer | null {
  if (keyId === null) {
    const own = { id: 'webhook', name: 'Webhook', organizationId, scopes: [...keyScopes], expiresAt: null };
    return viewerOf({ ...own, keyId: null });
  }
  if (!key) return null;
  return viewerOf({
    ...key,
    id: keyId,
    keyId,
    organizationId,
    expiresAt: key.expiresAt === null ? null : new Date(key.expiresAt),
  });
}

const batchSql = /* sql */ `
WITH due AS (
  (SELECT d.*, 0 AS turn, d.place AS rank FROM webhook_delivery d
    WHERE d.webhook_id = $1 AND d.lane = $2 AND d.status = 'PENDING' AND d.tries = 0 ORDER BY d.place LIMIT $3)
  UNION ALL
  (SELECT d.*, 1, row_number() OVER (ORDER BY d.due_at) FROM webhook_delivery d
    WHERE d.webhook_id = $1 AND d.lane = $2 AND d.status = 'PENDING' AND d.tries > 0 AND ${isDueSql('d')}
    ORDER BY d.due_at LIMIT $4)
)
SELECT w.url, w.selection, w.organization_id AS "organizationId", w.key_id AS "keyId",
  CASE WHEN k.id IS NOT NULL THEN jsonb_build_object('name', k.name, 'scopes', k.scopes, 'expiresAt', k.expires_at) END AS key,
  ARRAY(SELECT secret FROM webhook_secret s WHERE s.webhook_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())
    ORDER BY s.created_at DESC) AS secrets,
  coalesce((SELECT jsonb_agg(jsonb_build_object('id', due.id, 'event', due.event, 'conversationId', due.conversation_id,
    'seq', due.seq::text, 'tries', due.tries, 'made', due.payload IS NOT NULL, 'discarded', due.discarded, 'createdAt', due.created_at)
    ORDER BY due.turn, due.rank) FROM due), '[]') AS due
FROM webhook w LEFT JOIN api_key k ON k.id = w.key_id AND k.organization_id = w.organization_id
  AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
WHERE w.id = $1 AND w.status = 'ON'`;
