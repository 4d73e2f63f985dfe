import type pg from 'pg';
import { encodeId } from '../ids.ts';
import type { RecordFilter } from './filter.ts';
import { beginOf, filterValues } from './list-records.ts';
import type { Cell, ExportKind, Source } from './sources.ts';
import { columnName, idTypeOf, tables } from './tables.ts';

/** How many rows one page is chosen from, and the bytes of text after which it ends. */
const [WALK_ROWS, PAGE_BYTES] = [1000, 4 * 1024 * 1024];

const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** Times: the first and the end of the days, and the first and the last row within them, with those that the filter leaves out. */
interface Range {
  start: Date;
  end: Date;
  first: Date | null;
  last: Date | null;
}

interface Walked {
  id: string;
  at: Date;
  answerId: string | null;
  /** Null if the filter leaves the row out. */
  bytes: number | null;
}

/**
 * Rows of the organization by their time. A page walks through a bounded number of rows, however few of them the filter lets
 * through, and then reads what is exported of those: no statement takes long.
 */
export function tableSource(
  pool: pg.Pool,
  organizationId: string,
  kind: Exclude<ExportKind, 'EVENTS'>,
  filter: RecordFilter,
): Source {
  const { name, row, walked, joins, filter: condition, answerId, bytes, columns, columnJoins } = tables[kind];
  const names = Object.keys(columns);
  const idTypes = names.map(idTypeOf);
  const walk = async ({ end }: Range, at: string, id: string): Promise<Walked[]> => {
    const { rows } = await pool.query<Walked>({
      name: `export-walk-${kind.toLowerCase()}`,
      text: `SELECT ${row}.id, ${row}.created_at AS at, ${answerId} AS "answerId",
          CASE WHEN ${condition} THEN (${bytes})::float8 END AS bytes
        FROM (SELECT * FROM ${name} ${row} WHERE ${row}.organization_id = $1 AND ${walked} AND ${row}.created_at < $2
          AND (${row}.created_at, ${row}.id) > ($3::timestamptz, $9::uuid)
          ORDER BY ${row}.created_at, ${row}.id LIMIT ${WALK_ROWS}) ${row} ${joins}
        ORDER BY ${row}.created_at, ${row}.id`,
      values: [organizationId, end, at, ...filterValues(filter), id],
    });
    return rows;
  };
  const read = async (chosen: readonly Walked[]): Promise<Cell[][]> => {
    const { rows } = await pool.query<Cell[]>({
      name: `export-rows-${kind.toLowerCase()}`,
      rowMode: 'array',
      text: `SELECT ${names.map((column) => columns[column]).join(', ')}
        FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS chosen(id, answer_id, place)
        JOIN ${name} ${row} ON ${row}.id = chosen.id ${columnJoins} ORDER BY chosen.place`,
      values: [chosen.map(({ id }) => id), chosen.map((each) => each.answerId)],
    });
    return rows.map((cells) => cells.map((cell, index) => publicCell(idTypes[index] ?? null, cell)));
  };
  let range: Promise<Range> | null = null;
  return {
    columns: names.map(columnName),
    async page(after) {
      const days = await (range ??= readRange(pool, organizationId, name, filter));
      const [at = '', id = ''] = after?.split(' ') ?? [days.start.toISOString(), FIRST_ID];
      const found = await walk(days, at, id);
      const { chosen, last } = chooseFitting(found);
      const isEnd = last === found.at(-1) && found.length < WALK_ROWS;
      return {
        rows: chosen.length > 0 ? await read(chosen) : [],
        next: last && !isEnd ? `${last.at.toISOString()} ${last.id}` : null,
        part: last && !isEnd ? partOf(days, last.at) : 1,
      };
    },
  };
}

/** The rows that the filter lets through, until they have enough bytes, and the last row that was looked at. */
function chooseFitting(found: readonly Walked[]): { chosen: Walked[]; last: Walked | undefined } {
  const chosen: Walked[] = [];
  let bytes = 0;
  for (const row of found) {
    if (row.bytes === null) continue;
    if (bytes >= PAGE_BYTES) return { chosen, last: chosen.at(-1) };
    chosen.push(row);
    bytes += row.bytes;
  }
  return { chosen, last: found.at(-1) };
}

async function readRange(
  pool: pg.Pool,
  organizationId: string,
  table: string,
  { startDate, endDate }: RecordFilter,
): Promise<Range> {
  const edge = (
    way: string,
  ) => `(SELECT created_at FROM ${table} WHERE organization_id = $1 AND created_at >= days.start
    AND created_at < days."end" ORDER BY created_at ${way} LIMIT 1)`;
  const { rows } = await pool.query<Range>({
    text: `SELECT days.*, ${edge('ASC')} AS first, ${edge('DESC')} AS last
      FROM (SELECT ${beginOf('$2::date')} AS start, ${beginOf('$3::date + 1')} AS "end" FROM organization o WHERE o.id = $1) days`,
    values: [organizationId, startDate, endDate],
  });
  if (!rows[0]) throw new Error('The organization is gone.');
  return rows[0];
}

/** How far a time is between the first and the last row. */
const partOf = ({ first, last }: Range, at: Date) =>
  (Number(at) - Number(first)) / Math.max(1, Number(last) - Number(first));

/** An id as everybody but the database knows it. */
const publicCell = (type: ReturnType<typeof idTypeOf>, cell: Cell): Cell =>
  type && typeof cell === 'string' ? encodeId(type, cell) : cell;
