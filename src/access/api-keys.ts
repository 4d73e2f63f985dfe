import { createHash, randomBytes } from 'node:crypto';
import type { PrismaClient, Queryable } from '../db.ts';
import type { NewId } from '../ids.ts';
import { isKeyScope, keyScopes, type Viewer } from './viewer.ts';

/** A new secret key. It is shown once, since only its hash is stored. */
export function newSecret(): string {
  return `parley_${randomBytes(24).toString('base64url')}`;
}

/** The stored form of a credential. Credentials are long and random, so a plain hash cannot be reversed. */
export function hashCredential(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** A key to be created. */
export interface NewApiKey {
  organizationId: string;
  name: string;
  scopes?: readonly string[];
  expiresAt?: Date | null | undefined;
  /** The operators who stand behind it, locked by `lockMakers`. Left out: none. */
  madeBy?: readonly string[];
}

/** Stores a key. Returns its id and the secret, which cannot be read again. */
export async function createApiKey(
  db: Queryable,
  newId: NewId,
  { organizationId, name, scopes = keyScopes, expiresAt = null, madeBy = [] }: NewApiKey,
  secret = newSecret(),
): Promise<{ id: string; secret: string }> {
  const id = newId();
  await db.query({
    text: `INSERT INTO api_key (id, organization_id, name, secret_hash, scopes, expires_at, made_by)
      VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    values: [id, organizationId, name, hashCredential(secret), scopes, expiresAt, madeBy],
  });
  return { id, secret };
}

/** Revokes a key for good, and with it the client tokens issued with it. False if the organization has no such key. */
export async function revokeApiKey(
  prisma: PrismaClient,
  key: { id: string; organizationId: string },
): Promise<boolean> {
  // The time of the first revocation stays.
  await prisma.apiKey.updateMany({ where: { ...key, revokedAt: null }, data: { revokedAt: new Date() } });
  return (await prisma.apiKey.count({ where: key })) === 1;
}

interface KeyRow {
  id: string;
  organizationId: string;
  name: string;
  scopes: string[];
  expiresAt: Date | null;
}

/** The viewer of an API key, even after it has expired. Null if the key is unknown or revoked. */
export async function findViewerByKey(db: Queryable, key: string): Promise<Viewer | null> {
  const { rows } = await db.query<KeyRow>({
    name: 'find-api-key',
    text: `SELECT id, organization_id AS "organizationId", name, scopes, expires_at AS "expiresAt"
      FROM api_key WHERE secret_hash = $1 AND revoked_at IS NULL`,
    values: [hashCredential(key)],
  });
  const row = rows[0];
  return row ? viewerOf({ ...row, keyId: row.id }) : null;
}

/** A viewer with what its API key allows. `keyId` is null for a page that the server signed in. */
export function viewerOf(key: KeyRow & { keyId: string | null }): Viewer {
  return {
    kind: 'API_KEY',
    id: `key:${key.id}`,
    organizationId: key.organizationId,
    actor: { kind: 'SYSTEM', displayName: key.name, externalId: key.id },
    scopes: key.scopes.filter(isKeyScope),
    keyId: key.keyId,
    expiresAt: key.expiresAt,
    confinedTo: null,
    contactId: null,
    tokenGeneration: 0,
    operatorId: null,
    endsWith: [],
  };
}

/** Those of these keys that are no longer valid. */
export async function findRevokedKeys(db: Queryable, ids: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ id: string }>({
    name: 'find-revoked-keys',
    text: `SELECT asked.id FROM unnest($1::uuid[]) AS asked(id) LEFT JOIN api_key USING (id)
      WHERE api_key.id IS NULL OR revoked_at IS NOT NULL`,
    values: [ids],
  });
  return new Set(rows.map(({ id }) => id));
}
