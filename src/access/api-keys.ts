import { createHash, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { scopes, type Viewer } from './viewer.ts';

/** A new secret key, to be shown once: only its hash is stored. */
export function newApiKey(): string {
  return `parley_${randomBytes(24).toString('base64url')}`;
}

/** What is stored of a key. Keys are random and long, so a plain hash cannot be reversed. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** The holder of an API key; null when it is not one. */
export async function findViewerByKey(pool: pg.Pool, key: string): Promise<Viewer | null> {
  const { rows } = await pool.query<{ id: string; organizationId: string; name: string }>({
    name: 'find-api-key',
    text: 'SELECT id, organization_id AS "organizationId", name FROM api_key WHERE secret_hash = $1',
    values: [hashApiKey(key)],
  });
  return rows[0] ? viewerOf(rows[0]) : null;
}

/** A viewer with all that an API key may do. */
export function viewerOf(key: { id: string; organizationId: string; name: string }): Viewer {
  return {
    kind: 'API_KEY',
    id: `key:${key.id}`,
    organizationId: key.organizationId,
    actor: { kind: 'SYSTEM', displayName: key.name, externalId: key.id },
    scopes,
  };
}
