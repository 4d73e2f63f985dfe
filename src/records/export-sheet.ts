import { checkSize, type ExportRun, type ExportState } from './export-lines.ts';
import { inTurns, readAhead } from './read-ahead.ts';
import type { Cell } from './sources.ts';
import { SHEET_ROWS, Workbook } from './workbook.ts';

/** Writes an Excel file, with a further sheet when one is full. Begins at the beginning. */
export async function exportSheet(run: ExportRun, sheetRows = SHEET_ROWS): Promise<ExportState> {
  const { source, storage, folder, claim, context } = run;
  const book = new Workbook();
  let [bytes, rows] = [0, 0];
  book.output.on('data', (piece: Buffer) => (bytes += piece.length)).pause();
  // Rows may fail before the storage listens. Its promise and that of `fill` tell of the error.
  book.output.on('error', () => undefined);
  const nextPage = readAhead(source, null, context);
  /** Rows that are read and on no sheet yet. */
  let waiting: Cell[][] = [];
  let isLast = false;
  const hasRows = async () => {
    while (waiting.length === 0 && !isLast) {
      checkSize(bytes);
      const page = await nextPage();
      waiting = page.rows;
      isLast = page.next === null;
      rows += waiting.length;
    }
    return waiting.length > 0;
  };
  const ofOneSheet = async function* () {
    for (let room = sheetRows; room > 0 && (await hasRows());) {
      const fitting = waiting.splice(0, room);
      room -= fitting.length;
      yield* inTurns(fitting);
    }
  };
  const fill = async () => {
    do await book.addSheet(source.columns, ofOneSheet());
    while (await hasRows());
    book.end();
  };
  const name = `${folder}/000000-${claim}`;
  // Either ends the other.
  const written = Promise.all([storage.write(name, book.output), fill()]);
  await written.catch((error: unknown) => {
    book.output.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  checkSize(bytes);
  return { rows, bytes, parts: [name], next: null };
}
