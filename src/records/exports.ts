import type pg from 'pg';
import type { Pool } from '../db.ts';
import type { Caller } from '../access/caller.ts';
import { decodeEventPosition, encodeEventPosition, readEnd } from '../conversations/log/tail.ts';
import { InvalidInputError } from '../errors.ts';
import type { NewId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import type { JobQueue } from '../jobs/queue.ts';
import { startJob, type TrackedKind } from '../jobs/tracked.ts';
import type { Logger } from '../logger.ts';
import type { Storage } from '../storage/storage.ts';
import { makeRoom } from './make-room.ts';
import { asJson, exportLines, readExportState } from './export-lines.ts';
import { exportSheet } from './export-sheet.ts';
import { readRecordFilter, type RecordFilterInput } from './filter.ts';
import { csv, jsonLines } from './line-formats.ts';
import { type ExportKind, exportKinds, sourceOf } from './sources.ts';

export const exportFormats = ['XLSX', 'CSV', 'JSONL'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** How long the file of an export is kept. */
const KEEP_SECONDS = 7 * 86_400;

export interface StartExportInput {
  kind: ExportKind;
  format: ExportFormat;
  filter?: RecordFilterInput | null | undefined;
  since?: string | null | undefined;
}

/** Leaves an export to the queue. */
export async function startExport(
  services: { pool: Pool; jobs: JobQueue; newId: NewId },
  { organizationId }: Pick<Caller, 'organizationId'>,
  { kind, format, filter, since }: StartExportInput,
): Promise<{ jobId: string }> {
  const refuse = (field: string, detail: string) => {
    throw new InvalidInputError([{ path: [field], code: 'NOT_ALLOWED', detail }]);
  };
  if (kind === 'EVENTS' && filter) refuse('filter', 'Events are exported by `since`.');
  if (kind !== 'EVENTS' && since != null) refuse('since', 'Only events have a place.');
  if (since != null && !decodeEventPosition(since)) refuse('since', 'The position is malformed.');
  let input: JsonObject = { kind, format, since: since ?? null };
  if (kind === 'EVENTS') {
    input = { ...input, until: encodeEventPosition(await readEnd(services.pool)) };
  } else {
    if (!filter) throw new InvalidInputError([{ path: ['filter'], code: 'REQUIRED', detail: 'Say of which days.' }]);
    const checked = readRecordFilter(filter);
    if (kind !== 'RECORDS' && (checked.userMessage ?? checked.botMessage ?? checked.rating) !== null) {
      refuse('filter', 'Only records are found by their texts and ratings.');
    }
    input = { ...input, ...checked };
  }
  return { jobId: await startJob(services, { organizationId, kind: 'EXPORT', input }) };
}

/** What was asked for, of a job that is an export. */
export function exportOf(input: unknown): { kind: ExportKind; format: ExportFormat } {
  const given = typeof input === 'object' && input !== null ? input : {};
  const kind = 'kind' in given ? exportKinds.find((each) => each === given.kind) : undefined;
  const format = 'format' in given ? exportFormats.find((each) => each === given.format) : undefined;
  if (!kind || !format) throw new Error('The job is no export.');
  return { kind, format };
}

export const exportFolder = (jobId: string) => `exports/${jobId}`;

/** How exports are run. */
export function exportJobs({
  pool,
  storage,
  logger,
}: {
  pool: pg.Pool;
  storage: Storage;
  logger: Logger;
}): TrackedKind {
  return {
    keepSeconds: KEEP_SECONDS,
    async run({ id, organizationId, input, state, claim }, context) {
      const { kind, format } = exportOf(input);
      const run = {
        source: sourceOf(pool, organizationId, kind, input),
        storage,
        folder: exportFolder(id),
        claim,
        context,
      };
      const made =
        format === 'XLSX'
          ? await exportSheet(run)
          : await exportLines(run, format === 'CSV' ? csv : jsonLines, readExportState(state));
      for (const old of await makeRoom(pool, organizationId, made.bytes)) {
        await storage.removeFolder(exportFolder(old)).catch((error: unknown) => {
          logger.warn({ err: error, jobId: old }, 'could not remove the file of an export; trying again later');
        });
      }
      return asJson(made);
    },
    discard: ({ id }) => storage.removeFolder(exportFolder(id)),
  };
}
