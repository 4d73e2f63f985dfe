import type pg from 'pg';
import type { Author } from '../../access/caller.ts';
import { inTransaction, LONG_STATEMENT_MS } from '../../db.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { ContactServices } from '../model.ts';

export interface MergeContactsInput {
  contactId: string;
  intoContactId: string;
}

/**
 * Merges an anonymous contact into a known one. The conversations move, each with an event in its log, and so do the messages in the
 * conversations of others, the attachments and the idempotency keys. The anonymous contact is gone, and its tokens with it.
 */
export async function mergeContacts(
  services: ContactServices,
  { organizationId, actor }: { organizationId: string; actor: Author },
  input: MergeContactsInput,
): Promise<{ contactId: string; mergedContactId: string }> {
  const [from, into] = [decodeId('Contact', input.contactId), decodeId('Contact', input.intoContactId)];
  if (!from) throw new NotFoundError(['contactId']);
  if (!into) throw new NotFoundError(['intoContactId']);
  if (from === into) throw refusal('intoContactId', 'Must be another contact.');
  await merge(services, { organizationId, actor, from, into });
  return { contactId: into, mergedContactId: from };
}

interface Merger {
  organizationId: string;
  actor: Author;
  /** The row ids of the two. */
  from: string;
  into: string;
  /** The hash of a secret that the anonymous one must still have. Left out: any, or none. */
  visitorHash?: string;
}

/** Merges the two, by their row ids. Throws like `mergeContacts`. */
export async function merge(services: ContactServices, merger: Merger): Promise<void> {
  const { organizationId, actor, from, into } = merger;
  const move = async (db: pg.PoolClient) => {
    await requireBoth(db, merger);
    // Conversations first, like every command: whoever holds one may wait for what follows.
    const { rows } = await db.query<{ conversationId: string; version: number }>({
      text: moveSql,
      values: [from, organizationId, into, JSON.stringify(actor)],
    });
    await db.query({
      text: `UPDATE message SET author = author || jsonb_build_object('contactId', $3::text)
        WHERE organization_id = $1 AND author->>'contactId' = $2::text`,
      values: [organizationId, from, into],
    });
    await db.query({
      text: `UPDATE idempotency mine SET caller = $3 WHERE organization_id = $1 AND caller = $2 AND NOT EXISTS (
        SELECT FROM idempotency theirs WHERE theirs.organization_id = $1 AND theirs.caller = $3 AND theirs.key = mine.key)`,
      values: [organizationId, `contact:${from}`, `contact:${into}`],
    });
    await db.query({
      text: 'UPDATE attachment SET contact_id = $3, uploader = $5 WHERE organization_id = $1 AND contact_id = $2 AND uploader = $4',
      values: [organizationId, from, into, `contact:${from}`, `contact:${into}`],
    });
    await db.query('DELETE FROM contact WHERE id = $1', [from]);
    return rows;
  };
  const moved = await inTransaction(services.pool, move, { statementMs: LONG_STATEMENT_MS });
  for (const conversation of moved) services.bus.publish({ kind: 'log', organizationId, ...conversation, moved: true });
}

/** Locks both, so that neither is merged or gets a conversation meanwhile. In the order of their ids, so that two merges never wait for each other. */
async function requireBoth(db: pg.PoolClient, { organizationId, from, into, visitorHash }: Merger): Promise<void> {
  const { rows } = await db.query<{ id: string; anonymous: boolean; visitorHash: string | null }>({
    text: 'SELECT id, anonymous, visitor_hash AS "visitorHash" FROM contact WHERE id = ANY($1::uuid[]) AND organization_id = $2 AND erasing_since IS NULL ORDER BY id FOR UPDATE',
    values: [[from, into], organizationId],
  });
  const [source, target] = [from, into].map((id) => rows.find((row) => row.id === id));
  if (!source || (visitorHash ?? source.visitorHash) !== source.visitorHash) throw new NotFoundError(['contactId']);
  if (!target) throw new NotFoundError(['intoContactId']);
  if (!source.anonymous) throw refusal('contactId', 'Must be anonymous: a known person is not merged into another.');
  if (target.anonymous) throw refusal('intoContactId', 'Must be a known person, not an anonymous one.');
}

function refusal(field: string, detail: string): InvalidInputError {
  return new InvalidInputError([{ path: [field], code: 'NOT_ALLOWED', detail }]);
}

/**
 * Locks also those in which the contact is a guest. In the order of the ids too: whatever a command holds of one conversation, it waits
 * for no other.
 */
const moveSql = /* sql */ `
WITH locked AS (
  SELECT id FROM conversation
  WHERE organization_id = $2 AND (contact_id = $1
    OR id IN (SELECT conversation_id FROM message WHERE organization_id = $2 AND author->>'contactId' = $1::text))
  ORDER BY id FOR NO KEY UPDATE
), moved AS (
  UPDATE conversation c SET contact_id = $3, version = version + 1, updated_at = now() FROM locked
  WHERE c.id = locked.id AND c.contact_id = $1
  RETURNING c.id, c.organization_id, c.version
), logged AS (
  INSERT INTO event (conversation_id, version, organization_id, type, actor)
  SELECT id, version, organization_id, 'ConversationUpdated', $4::jsonb FROM moved
)
SELECT id AS "conversationId", version FROM moved`;
