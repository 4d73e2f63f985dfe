import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ZipFile } from 'yazl';
import type { Cell } from './sources.ts';

/** What a sheet can hold beside its header, and a cell, in UTF-16 code units. */
export const SHEET_ROWS = 1_048_575;
const CELL_UNITS = 32_767;
/** Ends a text that was cut. */
const CUT_MARK = '… [cut]';

/** The numbers of styles, by their place in `cellXfs`. */
const [TIME_STYLE, INERT_STYLE] = [1, 2];

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"';
const RELATIONS = 'http://schemas.openxmlformats.org/package/2006/relationships';
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const TYPE = 'application/vnd.openxmlformats-officedocument.spreadsheetml';

/**
 * Writes an Excel file (ECMA-376) in constant memory: sheets one after the other, each with a header that stays in sight, and cells with
 * types. A text is a text, whatever it begins with. Whoever destroys `output` ends it.
 */
export class Workbook {
  /** The file. It must be read while sheets are added. */
  readonly output: Readable;
  private readonly zip = new ZipFile();
  private sheets = 0;

  constructor() {
    const { outputStream } = this.zip;
    if (!(outputStream instanceof Readable)) throw new TypeError('The file is no stream.');
    this.output = outputStream;
  }

  /** Adds a sheet. Resolves when all its rows are taken. Rejects if they cannot be read, or nobody reads the file. */
  async addSheet(columns: readonly string[], pages: AsyncIterable<readonly Cell[][]>): Promise<void> {
    const xml = Readable.from(sheetXml(columns, pages), { objectMode: false });
    const stop = () => xml.destroy(new Error('The file is no longer written.'));
    this.output.once('close', stop);
    this.sheets += 1;
    this.zip.addReadStream(xml, `xl/worksheets/sheet${this.sheets}.xml`);
    await finished(xml);
    this.output.off('close', stop);
  }

  /** Adds what tells of the sheets, and ends the file. */
  end(): void {
    const numbers = Array.from({ length: this.sheets }, (_, index) => index + 1);
    for (const [name, content] of Object.entries(partsBeside(numbers))) {
      this.zip.addBuffer(Buffer.from(HEAD + content), name);
    }
    this.zip.end();
  }
}

/** The parts of the file beside its sheets. */
function partsBeside(sheets: readonly number[]): Record<string, string> {
  const each = (xml: (sheet: number) => string) => sheets.map(xml).join('');
  const stylesId = sheets.length + 1;
  return {
    '[Content_Types].xml':
      '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">' +
      '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>' +
      `<Override PartName="/xl/workbook.xml" ContentType="${TYPE}.sheet.main+xml"/>` +
      `<Override PartName="/xl/styles.xml" ContentType="${TYPE}.styles+xml"/>` +
      each((n) => `<Override PartName="/xl/worksheets/sheet${n}.xml" ContentType="${TYPE}.worksheet+xml"/>`) +
      '</Types>',
    '_rels/.rels':
      `<Relationships xmlns="${RELATIONS}">` +
      `<Relationship Id="rId1" Type="${OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
    'xl/workbook.xml':
      `<workbook ${MAIN} xmlns:r="${OFFICE}"><bookViews><workbookView/></bookViews><sheets>` +
      each((n) => `<sheet name="Sheet ${n}" sheetId="${n}" r:id="rId${n}"/>`) +
      '</sheets></workbook>',
    'xl/_rels/workbook.xml.rels':
      `<Relationships xmlns="${RELATIONS}">` +
      each((n) => `<Relationship Id="rId${n}" Type="${OFFICE}/worksheet" Target="worksheets/sheet${n}.xml"/>`) +
      `<Relationship Id="rId${stylesId}" Type="${OFFICE}/styles" Target="styles.xml"/></Relationships>`,
    'xl/styles.xml':
      `<styleSheet ${MAIN}><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>` +
      '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>' +
      '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>' +
      '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>' +
      '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>' +
      '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>' +
      '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>' +
      '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs></styleSheet>',
  };
}

async function* sheetXml(
  columns: readonly string[],
  pages: AsyncIterable<readonly Cell[][]>,
): AsyncGenerator<Buffer, void, undefined> {
  const names = columns.map((_, index) => columnName(index));
  let count = 0;
  const xmlOf = (row: readonly Cell[]) => {
    count += 1;
    return `<row r="${count}">${row.map((cell, index) => cellXml(`${names[index]}${count}`, cell)).join('')}</row>`;
  };
  yield Buffer.from(
    `${HEAD}<worksheet ${MAIN}><sheetViews><sheetView workbookViewId="0">` +
      '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>' +
      xmlOf(columns),
  );
  for await (const page of pages) yield Buffer.from(page.map(xmlOf).join(''));
  yield Buffer.from('</sheetData></worksheet>');
}

/** A, B, … Z, AA, AB, … */
function columnName(index: number): string {
  const before = index < 26 ? '' : columnName(Math.floor(index / 26) - 1);
  return before + String.fromCharCode(65 + (index % 26));
}

const DAY_MS = 86_400_000;
/** The day 1970-01-01, as sheets count days. */
const EPOCH_DAY = 25_569;

function cellXml(place: string, cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return `<c r="${place}"><v>${cell}</v></c>`;
  if (cell instanceof Date) {
    return `<c r="${place}" s="${TIME_STYLE}"><v>${cell.getTime() / DAY_MS + EPOCH_DAY}</v></c>`;
  }
  // Otherwise it would become a formula when somebody edits it.
  const style = /^[=+\-@\t\r\n]/.test(cell) ? ` s="${INERT_STYLE}"` : '';
  return `<c r="${place}"${style} t="inlineStr"><is><t xml:space="preserve">${textXml(cell)}</t></is></c>`;
}

/** Characters that XML cannot hold are left out. */
function textXml(cell: string): string {
  const text = cell.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '');
  const fitting = text.length <= CELL_UNITS ? text : wellFormedStart(text, CELL_UNITS - CUT_MARK.length) + CUT_MARK;
  return (
    fitting
      // Spreadsheets take _x0041_ for an A.
      .replace(/_(?=x[0-9a-fA-F]{4}_)/g, '_x005F_')
      .replace(/[&<>]/g, (sign) => (sign === '&' ? '&amp;' : sign === '<' ? '&lt;' : '&gt;'))
  );
}

/** The first so many code units, without half of a surrogate pair at the end. */
function wellFormedStart(text: string, units: number): string {
  const start = text.slice(0, units);
  return start.isWellFormed() ? start : start.slice(0, -1);
}
