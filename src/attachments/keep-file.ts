import { errorCode } from '../postgres/error-code.ts';
import { UnavailableError } from '../errors.ts';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import { type Intake, IntakeError, longestTransfer } from './intake.ts';
import { type AttachmentServices, fileName, shardOf } from './model.ts';
import type { Content } from '../storage/driver.ts';
import { sniff } from './sniff.ts';

type Services = Pick<AttachmentServices, 'pool' | 'storage' | 'newId' | 'logger' | 'maxAttachmentBytes'>;

/** An upload that has begun: the row is its own until it ends, or could not have ended any more. */
export interface Claim {
  id: string;
  fileId: string;
}

/** The attachment has its file, or another upload is under way. */
export class UploadTakenError extends Error {
  override name = 'UploadTakenError';
}

/** Begins an upload, in one statement. A server that died gives up its claim after the time that the longest upload may take. */
export async function claimUpload({ pool, newId, maxAttachmentBytes }: Services, id: string): Promise<Claim> {
  const fileId = newId();
  const { rowCount } = await pool.query({
    name: 'claim-upload',
    text: `UPDATE attachment SET file_id = $2, shard = $3, claimed_at = now()
      WHERE id = $1 AND status = 'PENDING' AND deleted_at IS NULL
        AND (claimed_at IS NULL OR claimed_at < now() - make_interval(secs => $4))`,
    values: [id, fileId, shardOf(fileId), 60 + longestTransfer(maxAttachmentBytes) / 1000],
  });
  if (rowCount === 0) throw new UploadTakenError('The file was uploaded already, or is being uploaded now.');
  return { id, fileId };
}

/**
 * Stores what arrives and completes the attachment. If anything fails nothing is left: the claim is given back, so that the upload can
 * be tried again, and what was stored is removed. Throws `IntakeError` for what arrives, `UnavailableError` for the storage.
 */
export async function keepFile(
  services: Services,
  claim: Claim,
  intake: Intake,
  { wanted, ...content }: { wanted: AttachmentType | null } & Content,
): Promise<void> {
  const { storage, logger } = services;
  try {
    await storage.write(fileName(claim.fileId), intake, content).catch((error: unknown) => {
      // The fault of whoever sends it.
      if (intake.errored instanceof IntakeError) throw intake.errored;
      if (isBrokenOff(intake.errored)) throw new IntakeError('BROKEN_OFF', 'The file did not arrive whole.');
      logger.error({ err: error, attachmentId: claim.id }, 'could not store a file');
      throw new UnavailableError('The file cannot be stored now. Nothing was kept. Try again.', 10, { cause: error });
    });
    await complete(services, claim, intake, wanted);
  } catch (error) {
    intake.destroy();
    if (await isCompleted(services, claim)) return;
    await storage.remove(fileName(claim.fileId)).catch((cause: unknown) => {
      logger.warn({ err: cause, attachmentId: claim.id }, 'could not remove a part of a file; the sweep will');
    });
    throw error;
  }
}

async function complete({ pool }: Services, { id, fileId }: Claim, intake: Intake, wanted: AttachmentType | null) {
  const { type, contentType, width, height } = await sniff(intake.beginning, wanted);
  const { rowCount } = await pool.query({
    name: 'complete-upload',
    text: `UPDATE attachment SET status = 'READY', ready_at = now(), bytes = $3, type = $4, content_type = $5, width = $6, height = $7
      WHERE id = $1 AND file_id = $2 AND status = 'PENDING' AND deleted_at IS NULL`,
    values: [id, fileId, intake.bytes, type, contentType, width, height],
  });
  if (rowCount === 0) throw new UploadTakenError('The attachment was removed meanwhile.');
}

/**
 * Gives the claim back. True if the attachment is complete all the same: the answer of the database was lost. Throws if the database
 * cannot tell; then the file stays, and the sweep finds what is too much.
 */
async function isCompleted({ pool }: Services, { id, fileId }: Claim): Promise<boolean> {
  const { rowCount } = await pool.query({
    name: 'release-upload',
    text: `UPDATE attachment SET file_id = NULL, shard = NULL, claimed_at = NULL WHERE id = $1 AND file_id = $2 AND status = 'PENDING'`,
    values: [id, fileId],
  });
  if ((rowCount ?? 0) > 0) return false;
  const { rows } = await pool.query(`SELECT FROM attachment WHERE id = $1 AND file_id = $2 AND status = 'READY'`, [
    id,
    fileId,
  ]);
  return rows.length > 0;
}

function isBrokenOff(error: unknown): boolean {
  return ['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(errorCode(error) ?? '');
}
