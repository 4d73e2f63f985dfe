import { type PageInfoShape, resolveCursorConnection, type ResolveCursorConnectionArgs } from '@pothos/plugin-relay';
import { isUuid } from '../ids.ts';
import { badUserInput } from './errors.ts';

/** The sizes of a page of any connection. */
const pageSize = { defaultSize: 50, maxSize: 100 } as const;

/** What resolves a connection. */
export interface ConnectionPage<T> {
  edges: readonly { cursor: string; node: T }[];
  pageInfo: PageInfoShape;
}

interface PageArguments {
  first?: number | null | undefined;
  last?: number | null | undefined;
  after?: string | null | undefined;
  before?: string | null | undefined;
}

/** Refuses a page that is not one: too large, too small, or from both ends. */
function checkPage(args: PageArguments): void {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > pageSize.maxSize)) {
      throw badUserInput(`\`${name}\` must be 1 to ${pageSize.maxSize}, not ${size}.`);
    }
  }
  if (args.first != null && args.last != null) throw badUserInput('Give `first` or `last`, not both.');
}

/** One page of a list that is read by its ordering values, never by counting. `load` returns `limit` rows in the order asked for. */
export async function keysetPage<T extends object>(
  args: PageArguments,
  toCursor: (row: T) => string,
  load: (slice: ResolveCursorConnectionArgs) => Promise<T[]>,
): Promise<ConnectionPage<T>> {
  checkPage(args);
  const { edges, pageInfo } = await resolveCursorConnection(
    { args, ...pageSize, toCursor },
    (slice: ResolveCursorConnectionArgs) => load(slice),
  );
  const { startCursor, endCursor } = pageInfo;
  // The library gives an empty page empty cursors, which lead nowhere.
  return { edges, pageInfo: { ...pageInfo, startCursor: startCursor || null, endCursor: endCursor || null } };
}

/** A pagination cursor made of a row's ordering values. */
export function encodePageCursor(...values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

type CursorPart = 'text' | 'integer' | 'time' | 'uuid';

type CursorValues<T extends readonly CursorPart[]> = {
  [K in keyof T]: T[K] extends 'integer' | 'time' ? number : string;
};

/** The ordering values of a cursor, of these kinds; a time is in milliseconds. Throws `BAD_USER_INPUT` for any other cursor. */
export function decodePageCursor<T extends readonly CursorPart[]>(cursor: string, ...parts: T): CursorValues<T> {
  let values: unknown;
  try {
    values = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    values = null;
  }
  if (isOf(values, parts)) return values;
  throw badUserInput('The pagination cursor is malformed, or of another list.');
}

function isOf<T extends readonly CursorPart[]>(values: unknown, parts: T): values is CursorValues<T> {
  return Array.isArray(values) && values.length === parts.length && parts.every((part, i) => checks[part](values[i]));
}

const checks: Record<CursorPart, (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string' && value.isWellFormed() && !value.includes('\0'),
  integer: (value) => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31,
  // PostgreSQL's years do not go as far back as JavaScript's.
  time: (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < Date.UTC(10_000, 0),
  uuid: (value) => typeof value === 'string' && isUuid(value),
};
