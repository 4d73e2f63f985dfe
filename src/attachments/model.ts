import type { Pool } from '../db.ts';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import { UserError } from '../errors.ts';
import type { NewId } from '../ids.ts';
import type { JobQueue } from '../jobs/queue.ts';
import type { GateLimits, KeyedGate } from '../keyed-gate.ts';
import type { Logger } from '../logger.ts';
import type { Storage } from '../storage/storage.ts';
import type { TransferGate } from './transfer-gate.ts';
import type { WorkClock } from '../work-clock.ts';

/** What is done with attachments uses these services. */
export interface AttachmentServices {
  pool: Pool;
  /** Of the operation that they serve. Outside of one it does not run. */
  clock: WorkClock;
  newId: NewId;
  logger: Logger;
  jobs: JobQueue;
  storage: Storage;
  /** Attachments that are being prepared, by uploader. */
  preparations: KeyedGate;
  /** Files on their way in. */
  uploads: TransferGate;
  /** Files on their way out. */
  downloads: TransferGate;
  /** The largest file, in bytes. */
  maxAttachmentBytes: number;
  /** Whether a file may be fetched from an address that is not public. */
  allowPrivateAddresses: boolean;
}

/** How long an address for an upload or a download is good, in seconds. */
export const GOOD_SECONDS = 3600;

/** How long a file may wait to be named in a message, in seconds. */
export const UNNAMED_SECONDS = 86_400;

/** The most attachments of one message. */
export const MAX_ATTACHMENTS = 10;

/** How many attachments may wait to be named: of one uploader, and of one person with client tokens. */
export const MAX_WAITING = { uploader: 1000, person: 20 };

/** How much one person may upload with client tokens in 24 hours: files, and bytes as multiples of the largest file. */
export const MAX_DAILY = { files: 200, largest: 20 };

/** Limits how many attachments of one uploader are prepared at the same time: each waits for the one before, holding a connection. */
export const preparationGate: GateLimits = {
  atOnce: 1,
  waiting: 100,
  waitMs: 5_000,
  refusal: 'Too many attachments are being prepared. Try again.',
};

/** Too many attachments of the uploader are not named in a message, or they have uploaded too much. */
export class TooManyAttachmentsError extends UserError {
  override name = 'TooManyAttachmentsError';
}

/** In how many folders files are kept, so that a list of one folder stays short. */
export const SHARDS = 256;

/** The folder of a file. Its id is a UUIDv7, which ends at random. */
export const shardOf = (fileId: string) => Number.parseInt(fileId.slice(-2), 16);

export const shardFolder = (shard: number) => `attachments/${shard.toString(16).padStart(2, '0')}`;

/** The name of a file in the storage. */
export const fileName = (fileId: string) => `${shardFolder(shardOf(fileId))}/${fileId}`;

/** What a file turns out to be. */
export interface Sniffed {
  type: AttachmentType;
  contentType: string;
  width: number | null;
  height: number | null;
}
