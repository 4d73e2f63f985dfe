import { Readable } from 'node:stream';
import { isJsonObject, type JsonObject } from '../json.ts';
import { HopelessError, type TrackedContext } from '../jobs/tracked.ts';
import type { Storage } from '../storage/storage.ts';
import type { LineFormat } from './line-formats.ts';
import { inTurns, readAhead } from './read-ahead.ts';
import type { Source } from './sources.ts';

/** Rows and bytes after which a part ends. A part is what is lost at most when a server dies. */
const [PART_ROWS, PART_BYTES] = [20_000, 16 * 1024 * 1024];

/** How many bytes the kept files of one organization's exports have at most. One file alone has no more either. */
export const MAX_KEPT_BYTES = 2 * 1024 ** 3;

/** @throws {HopelessError} if a file has become too large to be kept. */
export function checkSize(bytes: number): void {
  if (bytes > MAX_KEPT_BYTES) throw new HopelessError('The file has more than 2 GiB. Export fewer days at a time.');
}

/** What an export has come to. Its file is its parts, one after the other. */
export interface ExportState {
  rows: number;
  bytes: number;
  parts: string[];
  /** Where the next part begins. Null: at the beginning, or nowhere because the file is whole. */
  next: string | null;
}

export function readExportState(state: unknown): ExportState {
  if (!isJsonObject(state)) return { rows: 0, bytes: 0, parts: [], next: null };
  const { rows, bytes, parts, next } = state;
  return {
    rows: typeof rows === 'number' ? rows : 0,
    bytes: typeof bytes === 'number' ? bytes : 0,
    parts: Array.isArray(parts) ? parts.filter((part) => typeof part === 'string') : [],
    next: typeof next === 'string' ? next : null,
  };
}

export const asJson = ({ rows, bytes, parts, next }: ExportState): JsonObject => ({ rows, bytes, parts, next });

export interface ExportRun {
  source: Source;
  storage: Storage;
  /** The folder of the job's files, and what this run's files are called. */
  folder: string;
  claim: string;
  context: TrackedContext;
}

/** Writes a file of lines in parts, going on after the parts that there are. Returns what it has come to. */
export async function exportLines(run: ExportRun, format: LineFormat, begun: ExportState): Promise<ExportState> {
  const { source, storage, folder, claim, context } = run;
  const nextPage = readAhead(source, begun.next, context);
  let state = begun;
  for (;;) {
    const part = { rows: 0, bytes: 0, next: state.next, isLast: false };
    const counted = (text: string) => {
      const piece = Buffer.from(text);
      part.bytes += piece.length;
      return piece;
    };
    const isFirst = state.parts.length === 0;
    const pieces = async function* () {
      if (isFirst) yield counted(format.head(source.columns));
      while (part.rows < PART_ROWS && part.bytes < PART_BYTES && !part.isLast) {
        const page = await nextPage();
        part.rows += page.rows.length;
        part.next = page.next;
        part.isLast = page.next === null;
        for await (const rows of inTurns(page.rows)) {
          yield counted(rows.map((row) => format.line(source.columns, row)).join(''));
        }
      }
    };
    const name = `${folder}/${String(state.parts.length).padStart(6, '0')}-${claim}`;
    await storage.write(name, Readable.from(pieces(), { objectMode: false }));
    state = {
      rows: state.rows + part.rows,
      bytes: state.bytes + part.bytes,
      parts: [...state.parts, name],
      next: part.next,
    };
    checkSize(state.bytes);
    if (part.isLast) return state;
    await context.save(asJson(state));
  }
}
