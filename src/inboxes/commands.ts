import pg from 'pg';
import { inTransaction, LONG_STATEMENT_MS, type Queryable } from '../db.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { InboxChannel } from '../generated/prisma/enums.ts';
import { decodeId } from '../ids.ts';
import { ValueReader } from '../value-reader.ts';
import { attendanceOf } from './attendance.ts';
import { newLetterSecret, putLetterSecret } from './letter-secrets.ts';
import {
  type InboxData,
  type InboxInput,
  inboxLimits,
  type InboxServices,
  newIdentitySecret,
  newPublicKey,
  readInbox,
  readInboxMetadata,
} from './model.ts';

/** The owner of the inboxes. */
interface InboxOwner {
  organizationId: string;
}

/** What an inbox is given that is told only once. */
export interface InboxSecrets {
  identitySecret: string | null;
  letterSecret: string | null;
}

/** Creates an inbox. A web chat gets a public key and an identity secret, an email inbox a letter secret; they are told only here. */
export async function createInbox(
  { pool, newId }: InboxServices,
  owner: InboxOwner,
  input: InboxInput & { name: string; channel: InboxChannel },
): Promise<{ inboxId: string } & InboxSecrets> {
  const reader = new ValueReader();
  const { name, channel } = input;
  const none = { allowedOrigins: [], allowsAnonymous: true, address: null, timeZone: null, hours: null };
  const data = readInbox(reader, input, { name, channel, awayMessage: null, ...none });
  const metadata = readInboxMetadata(reader, input) ?? {};
  reader.finish();
  const agentId = await findAgent(pool, owner, input.agentId);
  const emailInboxId = await findEmailInbox(pool, owner, input.emailInboxId);
  const inboxId = newId();
  const isWebChat = channel === 'WEB_CHAT';
  const identitySecret = isWebChat ? newIdentitySecret() : null;
  const letterSecret = channel === 'EMAIL' ? newLetterSecret() : null;
  const insert = async (db: pg.PoolClient) => {
    await db.query({
      name: 'insert-inbox',
      text: `INSERT INTO inbox (id, organization_id, agent_id, metadata, ${columns.join(', ')}, channel, public_key, secret, email_inbox_id)
      VALUES ($1, $2, $3, merge_patch('{}', $4), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
      values: [
        inboxId,
        owner.organizationId,
        agentId ?? null,
        JSON.stringify(metadata),
        ...valuesOf(data),
        channel,
        isWebChat ? newPublicKey() : null,
        identitySecret,
        emailInboxId ?? null,
      ],
    });
    if (letterSecret !== null)
      await putLetterSecret(db, { inboxId, organizationId: owner.organizationId, secret: letterSecret });
  };
  await inTransaction(pool, insert).catch(explain);
  return { inboxId, identitySecret, letterSecret };
}

/** Changes an inbox. Its metadata is added to (RFC 7396). */
export async function updateInbox(
  { pool }: Pick<InboxServices, 'pool'>,
  owner: InboxOwner,
  input: InboxInput & { inboxId: string },
): Promise<{ inboxId: string }> {
  const id = decodeId('Inbox', input.inboxId);
  if (!id) throw new NotFoundError(['inboxId']);
  const change = async (db: pg.PoolClient) => {
    const before = await lockInbox(db, owner, id);
    const reader = new ValueReader();
    const data = readInbox(reader, input, before);
    const metadata = readInboxMetadata(reader, input) ?? {};
    reader.finish();
    const agentId = await findAgent(db, owner, input.agentId);
    const emailInboxId = await findEmailInbox(db, owner, input.emailInboxId);
    const set = columns.map((column, index) => `${column} = $${index + 8}`).join(', ');
    const { rowCount } = await db.query({
      name: 'update-inbox',
      text: `UPDATE inbox SET agent_id = CASE WHEN $2 THEN $3::uuid ELSE agent_id END, metadata = merge_patch(metadata, $4),
          email_inbox_id = CASE WHEN $6 THEN $7::uuid ELSE email_inbox_id END, ${set}
        WHERE id = $1 AND octet_length(merge_patch(metadata, $4)::text) <= $5`,
      values: [
        id,
        agentId !== undefined,
        agentId,
        JSON.stringify(metadata),
        inboxLimits.metadata,
        emailInboxId !== undefined,
        emailInboxId,
        ...valuesOf(data),
      ],
    });
    if (rowCount === 0) {
      const detail = `With what is there already, it would take more than ${inboxLimits.metadata} bytes of JSON.`;
      throw new InvalidInputError([{ path: ['metadata'], code: 'TOO_LARGE', detail }]);
    }
  };
  await inTransaction(pool, change).catch(explain);
  return { inboxId: id };
}

/** Deletes an inbox. Its conversations stay, without an inbox. */
export async function deleteInbox(
  { pool }: Pick<InboxServices, 'pool'>,
  { organizationId }: InboxOwner,
  input: { inboxId: string },
): Promise<{ inboxId: string }> {
  const inboxId = decodeId('Inbox', input.inboxId);
  const remove = async (db: pg.PoolClient) => {
    // In the order of the ids, as others lock several conversations.
    await db.query({
      text: 'SELECT FROM conversation WHERE inbox_id = $1 AND organization_id = $2 ORDER BY id FOR NO KEY UPDATE',
      values: [inboxId, organizationId],
    });
    return db.query({
      text: 'DELETE FROM inbox WHERE id = $1 AND organization_id = $2',
      values: [inboxId, organizationId],
    });
  };
  const deleted = inboxId && (await inTransaction(pool, remove, { statementMs: LONG_STATEMENT_MS }));
  if (!deleted || deleted.rowCount === 0) throw new NotFoundError(['inboxId']);
  return { inboxId };
}

/**
 * Gives a web chat a new identity secret: identities that the one before has signed are refused from now on. Gives an email inbox a new
 * letter secret: the one before is taken for another day.
 */
export async function rotateInboxSecret(
  { pool }: Pick<InboxServices, 'pool'>,
  owner: InboxOwner,
  input: { inboxId: string },
): Promise<{ inboxId: string } & InboxSecrets> {
  const inboxId = decodeId('Inbox', input.inboxId);
  if (inboxId === null) throw new NotFoundError(['inboxId']);
  return inTransaction(pool, async (db) => {
    const { channel } = await lockInbox(db, owner, inboxId);
    if (channel === 'EMAIL') {
      const letterSecret = newLetterSecret();
      await putLetterSecret(db, { inboxId, organizationId: owner.organizationId, secret: letterSecret });
      return { inboxId, identitySecret: null, letterSecret };
    }
    if (channel !== 'WEB_CHAT') {
      const detail = 'Must be a web chat or an email inbox: others have no secret.';
      throw new InvalidInputError([{ path: ['inboxId'], code: 'NOT_ALLOWED', detail }]);
    }
    const identitySecret = newIdentitySecret();
    await db.query({ text: 'UPDATE inbox SET secret = $2 WHERE id = $1', values: [inboxId, identitySecret] });
    return { inboxId, identitySecret, letterSecret: null };
  });
}

const columns = [
  'name',
  'allowed_origins',
  'allows_anonymous',
  'address',
  'time_zone',
  'hours',
  'away_message',
] as const;

/** The values of the columns. */
function valuesOf({ hours, ...data }: InboxData): unknown[] {
  const { name, allowedOrigins, allowsAnonymous, address, timeZone, awayMessage } = data;
  return [name, allowedOrigins, allowsAnonymous, address, timeZone, hours && JSON.stringify(hours), awayMessage];
}

async function lockInbox(db: Queryable, { organizationId }: InboxOwner, id: string): Promise<InboxData> {
  const { rows } = await db.query<Omit<InboxData, 'hours'> & { hours: unknown }>({
    text: `SELECT name, channel, allowed_origins AS "allowedOrigins", allows_anonymous AS "allowsAnonymous", address,
        time_zone AS "timeZone", hours, away_message AS "awayMessage"
      FROM inbox WHERE id = $1 AND organization_id = $2 FOR NO KEY UPDATE`,
    values: [id, organizationId],
  });
  if (!rows[0]) throw new NotFoundError(['inboxId']);
  return { ...rows[0], hours: attendanceOf(rows[0]).hours };
}

/** The row id of the agent that is named. Undefined and null stay as they are. */
async function findAgent(db: Queryable, { organizationId }: InboxOwner, agentId: string | null | undefined) {
  if (agentId == null) return agentId;
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT id FROM agent WHERE id = $1 AND organization_id = $2',
    values: [decodeId('Agent', agentId), organizationId],
  });
  if (!rows[0]) throw new NotFoundError(['agentId']);
  return rows[0].id;
}

/** The row id of the email inbox that is named. Undefined and null stay as they are. */
async function findEmailInbox(db: Queryable, { organizationId }: InboxOwner, inboxId: string | null | undefined) {
  if (inboxId == null) return inboxId;
  const { rows } = await db.query<{ id: string; isEmail: boolean }>({
    text: `SELECT id, channel = 'EMAIL' AS "isEmail" FROM inbox WHERE id = $1 AND organization_id = $2`,
    values: [decodeId('Inbox', inboxId), organizationId],
  });
  if (!rows[0]) throw new NotFoundError(['emailInboxId']);
  if (!rows[0].isEmail) {
    throw new InvalidInputError([{ path: ['emailInboxId'], code: 'NOT_ALLOWED', detail: 'Must be an email inbox.' }]);
  }
  return rows[0].id;
}

/** Throws the failure that a violated constraint comes to. */
function explain(error: unknown): never {
  const constraint = error instanceof pg.DatabaseError ? error.constraint : undefined;
  if (constraint === 'inbox_agent_id_fkey') throw new NotFoundError(['agentId']);
  if (constraint === 'inbox_email_inbox_id_fkey') throw new NotFoundError(['emailInboxId']);
  if (constraint === 'inbox_address_key') {
    const detail = 'Belongs to another inbox.';
    throw new InvalidInputError([{ path: ['address'], code: 'DUPLICATE', detail }]);
  }
  throw error;
}
