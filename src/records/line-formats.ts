import type { Cell } from './sources.ts';

/** A file of lines, which can be written in parts. */
export interface LineFormat {
  head(columns: readonly string[]): string;
  line(columns: readonly string[], row: readonly Cell[]): string;
}

/**
 * Where a spreadsheet could see a cell that begins like a formula: where the text begins, and, since not all separate by commas or
 * heed quotes that others would, after anything that may separate. Quotes that follow it may be dropped.
 */
const formula = /(?:^|[,;\t\r\n])"*(?=[=+\-@])/g;

/** RFC 4180. What a spreadsheet could take for the beginning of a formula has an apostrophe before it. */
export const csv: LineFormat = {
  head: (columns) => `${columns.join(',')}\r\n`,
  line: (_columns, row) => `${row.map(csvField).join(',')}\r\n`,
};

function csvField(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  if (cell instanceof Date) return cell.toISOString();
  const text = cell.replace(formula, "$&'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One JSON object on each line. */
export const jsonLines: LineFormat = {
  head: () => '',
  line: (columns, row) => `${JSON.stringify(Object.fromEntries(columns.map((name, i) => [name, row[i]])))}\n`,
};
