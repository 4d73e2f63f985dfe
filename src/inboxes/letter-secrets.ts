import { randomBytes } from 'node:crypto';
import { hashCredential } from '../access/api-keys.ts';
import type { Queryable } from '../db.ts';

/** How long the secret before is still taken after a rotation, in hours. */
export const LETTER_ROTATION_HOURS = 24;

/** An inbox that letters are given to. */
export interface LetterInbox {
  inboxId: string;
  organizationId: string;
  /** In the spelling of whoever made the inbox. */
  address: string;
}

/** A new secret of an email inbox, the last part of the address that its letters are posted to. Only its hash is stored. */
export function newLetterSecret(): string {
  return `letter_${randomBytes(32).toString('base64url')}`;
}

/** Puts a secret in force. The ones before are taken for another day, or until this happens again. Run it in a transaction. */
export async function putLetterSecret(
  db: Queryable,
  { inboxId, organizationId, secret }: { inboxId: string; organizationId: string; secret: string },
): Promise<void> {
  await db.query({
    text: 'DELETE FROM letter_secret WHERE inbox_id = $1 AND expires_at IS NOT NULL',
    values: [inboxId],
  });
  await db.query({
    text: `UPDATE letter_secret SET expires_at = now() + interval '${LETTER_ROTATION_HOURS} hours' WHERE inbox_id = $1`,
    values: [inboxId],
  });
  await db.query({
    text: 'INSERT INTO letter_secret (hash, inbox_id, organization_id) VALUES ($1, $2, $3)',
    values: [hashCredential(secret), inboxId, organizationId],
  });
}

/**
 * The inbox that a secret is of. Null if it is of none, or the inbox has no address. It is looked up by its hash, so that the time
 * it takes tells nothing of how much of it is right.
 */
export async function findLetterInbox(db: Queryable, secret: string): Promise<LetterInbox | null> {
  if (!/^letter_[\w-]{43}$/.test(secret)) return null;
  const { rows } = await db.query<LetterInbox>({
    name: 'find-letter-inbox',
    text: `SELECT i.id AS "inboxId", i.organization_id AS "organizationId", i.address
      FROM letter_secret s JOIN inbox i ON i.id = s.inbox_id
      WHERE s.hash = $1 AND (s.expires_at IS NULL OR s.expires_at > now()) AND i.address IS NOT NULL`,
    values: [hashCredential(secret)],
  });
  return rows[0] ?? null;
}
