import type { OperatorHolder } from '../../access/caller.ts';
import { inTransaction, type Pool, type Queryable } from '../../db.ts';
import type { NewId } from '../../ids.ts';
import { MAX_NAME } from '../model.ts';

/** Somebody as the system that signed them in knows them. The subject is unique at its issuer; the rest may change. */
export interface Identity {
  issuer: string;
  subject: string;
  /** Verified by the issuer. */
  email: string | null;
  name: string;
  avatarUrl: string | null;
}

/** What came of signing in. */
export type SignedIn =
  { outcome: 'OK'; holder: OperatorHolder } | { outcome: 'SUSPENDED' } | { outcome: 'SETUP_NEEDED' };

/**
 * The operator with this identity. Somebody who comes for the first time becomes the operator with their email address who has
 * never signed in, or else a new one: an ADMIN if they are the first of all and know the setup token, an AGENT after that. Nobody
 * becomes a new one with the address of an operator who is suspended.
 */
export async function signInAs(
  { pool, newId }: { pool: Pool; newId: NewId },
  organizationId: string,
  identity: Identity,
  { knowsSetupToken }: { knowsSetupToken: boolean },
): Promise<SignedIn> {
  const { issuer, subject, email, avatarUrl } = identity;
  return inTransaction(pool, async (db) => {
    // One at a time, so that one is the first.
    await db.query({ text: 'SELECT FROM organization WHERE id = $1 FOR NO KEY UPDATE', values: [organizationId] });
    const { rows } = await db.query<{ id: string; generation: number; isSuspended: boolean }>({
      text: `WITH known AS (
          SELECT id FROM operator WHERE organization_id = $1 AND identity_issuer = $2 AND identity_subject = $3
        ), invited AS (
          UPDATE operator SET identity_issuer = $2, identity_subject = $3
          WHERE organization_id = $1 AND lower(email) = lower($4) AND identity_issuer IS NULL AND suspended_at IS NULL
            AND NOT EXISTS (SELECT FROM known)
          RETURNING id
        )
        SELECT o.id, o.token_generation AS generation, o.suspended_at IS NOT NULL AS "isSuspended"
        FROM operator o WHERE o.id IN (SELECT id FROM known UNION ALL SELECT id FROM invited)`,
      values: [organizationId, issuer, subject, email],
    });
    const [row] = rows;
    if (row?.isSuspended) return { outcome: 'SUSPENDED' };
    if (row) return { outcome: 'OK', holder: { operatorId: row.id, operatorGeneration: row.generation } };
    const isFirst = await nobodyHasSignedIn(db, organizationId);
    if (isFirst && !knowsSetupToken) return { outcome: 'SETUP_NEEDED' };
    const operatorId = newId();
    // The lock waits for a suspension that is under way.
    const { rowCount } = await db.query({
      text: `WITH namesake AS (
          SELECT suspended_at FROM operator WHERE organization_id = $2 AND lower(email) = lower($4) FOR SHARE
        )
        INSERT INTO operator (id, organization_id, name, email, avatar_url, role, identity_issuer, identity_subject)
        SELECT $1, $2, $3, CASE WHEN EXISTS (SELECT FROM namesake) THEN NULL ELSE $4 END, $5, $6, $7, $8
        WHERE NOT EXISTS (SELECT FROM namesake WHERE suspended_at IS NOT NULL)`,
      values: [
        operatorId,
        organizationId,
        named(identity),
        email,
        avatarUrl,
        isFirst ? 'ADMIN' : 'AGENT',
        issuer,
        subject,
      ],
    });
    if (rowCount === 0) return { outcome: 'SUSPENDED' };
    return { outcome: 'OK', holder: { operatorId, operatorGeneration: 0 } };
  });
}

/** Whether no operator has an identity of a provider yet. */
export async function nobodyHasSignedIn(db: Queryable, organizationId: string): Promise<boolean> {
  const { rowCount } = await db.query({
    text: `SELECT FROM operator WHERE organization_id = $1 AND identity_issuer LIKE 'http%' LIMIT 1`,
    values: [organizationId],
  });
  return rowCount === 0;
}

/** The identity of a browser on the machine of the server: an ADMIN, named after the account that runs it. */
export async function localOperator(
  { pool, newId }: { pool: Pool; newId: NewId },
  { organizationId, account }: { organizationId: string; account: string },
): Promise<string> {
  const values = [newId(), organizationId, cut(account) || 'This machine', 'parley:this-machine', account];
  await pool.query({
    text: `INSERT INTO operator (id, organization_id, name, role, identity_issuer, identity_subject)
      VALUES ($1, $2, $3, 'ADMIN', $4, $5) ON CONFLICT (organization_id, identity_issuer, identity_subject) DO NOTHING`,
    values,
  });
  const { rows } = await pool.query<{ id: string }>({
    text: `SELECT id FROM operator WHERE organization_id = $1 AND identity_issuer = $2 AND identity_subject = $3`,
    values: [organizationId, ...values.slice(3)],
  });
  if (!rows[0]) throw new Error('the operator of this machine is gone');
  return rows[0].id;
}

function named({ name, email, subject }: Identity): string {
  return cut(name) || cut(email ?? '') || cut(subject) || 'Somebody';
}

/** A name that can be stored: well-formed, without NUL, and not too long. */
function cut(name: string): string {
  const text = name.toWellFormed().replaceAll('\0', '').trim();
  let length = Math.min(text.length, MAX_NAME);
  while (Buffer.byteLength(text.slice(0, length)) > MAX_NAME) length -= 1;
  return text
    .slice(0, length)
    .toWellFormed()
    .replace(/\uFFFD$/u, '');
}
