import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { checkSize, countRows, type ExportRun, type ExportState } from './export-lines.ts';
import type { Cell } from './sources.ts';

/** What a sheet can hold beside its header, and a cell, in characters. */
const [SHEET_ROWS, CELL_UNITS] = [1_048_575, 32_767];
/** Ends a text that was cut. */
const CUT_MARK = '… [cut]';

/** Writes an Excel file: a header that stays in sight, cells with types, a further sheet when one is full. Begins at the beginning. */
export async function exportSheet(run: ExportRun, sheetRows = SHEET_ROWS): Promise<ExportState> {
  const { source, storage, folder, claim, context } = run;
  const total = await countRows(run);
  // Loaded only here: it takes long.
  const { default: excel } = await import('exceljs');
  const output = new PassThrough();
  let bytes = 0;
  output.on('data', (piece: Buffer) => (bytes += piece.length));
  output.pause();
  const name = `${folder}/000000-${claim}`;
  const written = storage.write(name, output);
  // Awaited below, after what may throw before.
  written.catch(() => undefined);
  try {
    const book = new excel.stream.xlsx.WorkbookWriter({ stream: output, useStyles: true, useSharedStrings: false });
    const open = (number: number) => {
      const sheet = book.addWorksheet(`Sheet ${number}`, { views: [{ state: 'frozen', ySplit: 1 }] });
      sheet.addRow([...source.columns]).commit();
      return sheet;
    };
    let [sheets, rows, onSheet] = [1, 0, 0];
    let sheet = open(sheets);
    for (let next: string | null = null, isFirst = true; isFirst || next !== null; isFirst = false) {
      context.signal.throwIfAborted();
      checkSize(bytes);
      const page = await source.page(next);
      for (const row of page.rows) {
        if (onSheet === sheetRows) {
          sheet.commit();
          sheet = open((sheets += 1));
          onSheet = 0;
        }
        const added = sheet.addRow(row.map(sheetValue));
        row.forEach((cell, i) => {
          if (cell instanceof Date) added.getCell(i + 1).numFmt = 'yyyy-mm-dd hh:mm:ss';
        });
        added.commit();
        onSheet += 1;
        rows += 1;
      }
      if (total) context.progress(Math.min(0.99, rows / total));
      next = page.next;
      await turn();
    }
    sheet.commit();
    await book.commit();
    await written;
    checkSize(bytes);
    return { rows, bytes, parts: [name], next: null };
  } catch (error) {
    output.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

/** A text is a text, whatever it begins with. Characters that XML cannot hold are left out. */
function sheetValue(cell: Cell): Cell {
  if (typeof cell !== 'string') return cell;
  const text = cell.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '');
  return text.length <= CELL_UNITS ? text : wellFormedStart(text, CELL_UNITS - CUT_MARK.length) + CUT_MARK;
}

/** The first so many characters, without half of a surrogate pair at the end. */
function wellFormedStart(text: string, units: number): string {
  const start = text.slice(0, units);
  return start.isWellFormed() ? start : start.slice(0, -1);
}
