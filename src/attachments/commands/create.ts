import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Caller } from '../../access/caller.ts';
import { inTransaction, type Queryable } from '../../db.ts';
import { UnavailableError } from '../../errors.ts';
import type { AttachmentType } from '../../generated/prisma/enums.ts';
import { errorCode } from '../../postgres/error-code.ts';
import { ValueReader } from '../../value-reader.ts';
import { cleanFilename } from '../filename.ts';
import { inAnHour, linkTo } from '../links.ts';
import { type AttachmentServices, MAX_DAILY, MAX_WAITING, preparationGate, TooManyAttachmentsError } from '../model.ts';

export interface CreateAttachmentInput {
  filename: string;
  bytes: number;
  type?: AttachmentType | null | undefined;
}

export interface CreatedAttachment {
  attachmentId: string;
  uploadUrl: string;
  expiresAt: Date;
}

/** Prepares an upload by the caller. Throws `TooManyAttachmentsError` if too many of theirs wait to be named. */
export async function createAttachment(
  services: AttachmentServices & { publicUrl: string },
  caller: Caller,
  { filename, bytes, type }: CreateAttachmentInput,
): Promise<CreatedAttachment> {
  const { maxAttachmentBytes: most, publicUrl } = services;
  const reader = new ValueReader();
  const name = reader.text(['filename'], filename) ?? '';
  if (bytes < 1 || bytes > most) {
    const code = bytes > most ? 'TOO_LARGE' : 'OUT_OF_RANGE';
    reader.refuse(['bytes'], `Must be from 1 to ${most}.`, code);
  }
  reader.finish();
  const { id, secret } = await addAttachment(services, caller, { filename: name, bytes, type: type ?? 'OTHER' });
  const expiresAt = inAnHour();
  return { attachmentId: id, uploadUrl: linkTo(publicUrl, 'PUT', { id, secret }, expiresAt), expiresAt };
}

/** Adds an attachment whose file is still to come, if the caller may have another. */
export async function addAttachment(
  { pool, newId, preparations, maxAttachmentBytes }: AttachmentServices,
  { id: uploader, organizationId, confinedTo, contactId }: Caller,
  { filename, bytes, type }: { filename: string; bytes: number; type: AttachmentType },
): Promise<{ id: string; secret: string }> {
  const row = { id: newId(), secret: randomBytes(32).toString('hex') };
  const add = async (db: pg.PoolClient) => {
    // Counted one after the other: each sees what the one before has added.
    await db.query({
      text: `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`,
      values: [`attachments of ${organizationId} ${uploader}`],
    });
    await refuseTooMany(db, { organizationId, uploader, isPerson: confinedTo !== null, bytes, maxAttachmentBytes });
    await db.query({
      text: `INSERT INTO attachment (id, organization_id, uploader, contact_id, type, filename, bytes, secret)
        VALUES ($1, $2, $3, (SELECT id FROM contact WHERE id = $4 AND organization_id = $2), $5, $6, $7, $8)`,
      values: [
        row.id,
        organizationId,
        uploader,
        confinedTo && contactId,
        type,
        cleanFilename(filename),
        bytes,
        row.secret,
      ],
    });
  };
  await preparations
    .run(`${organizationId} ${uploader}`, () => inTransaction(pool, add))
    .catch((error: unknown) => {
      // Those of the same uploader on other servers.
      throw errorCode(error) === '55P03' ? new UnavailableError(preparationGate.refusal, 1, { cause: error }) : error;
    });
  return row;
}

async function refuseTooMany(
  db: Queryable,
  uploaded: { organizationId: string; uploader: string; isPerson: boolean; bytes: number; maxAttachmentBytes: number },
): Promise<void> {
  const { organizationId, uploader, isPerson, bytes, maxAttachmentBytes } = uploaded;
  const { rows } = await db.query<{ waiting: number; files: number; bytes: number }>({
    text: `SELECT today.files, today.bytes, (
        SELECT count(*)::int FROM attachment
        WHERE organization_id = $1 AND uploader = $2 AND message_id IS NULL AND deleted_at IS NULL) AS waiting
      FROM (
        SELECT count(*)::int AS files, coalesce(sum(bytes), 0)::float8 AS bytes FROM attachment
        WHERE $3 AND organization_id = $1 AND uploader = $2 AND created_at > now() - interval '24 hours') today`,
    values: [organizationId, uploader, isPerson],
  });
  const [row] = rows;
  if (!row) throw new Error('counting returned no row');
  const most = isPerson ? MAX_WAITING.person : MAX_WAITING.uploader;
  if (row.waiting >= most) {
    throw new TooManyAttachmentsError(
      `${most} attachments wait to be named in a message; no more are taken until one is named. Each waits for a day at most.`,
    );
  }
  const daily = MAX_DAILY.largest * maxAttachmentBytes;
  if (isPerson && (row.files >= MAX_DAILY.files || row.bytes + bytes > daily)) {
    throw new TooManyAttachmentsError(`At most ${MAX_DAILY.files} files and ${daily} bytes are taken in 24 hours.`);
  }
}
