import { type PageInfoShape, resolveCursorConnection, type ResolveCursorConnectionArgs } from '@pothos/plugin-relay';
import { isUuid } from '../ids.ts';
import { badUserInput } from './errors.ts';

/** Page sizes of all connections. */
export const pageSize = { defaultSize: 50, maxSize: 100 } as const;

/** The value that a connection is resolved with. */
export interface ConnectionPage<T> {
  edges: readonly { cursor: string; node: T }[];
  pageInfo: PageInfoShape;
}

/** The arguments of every connection. */
export interface PageArguments {
  first?: number | null | undefined;
  last?: number | null | undefined;
  after?: string | null | undefined;
  before?: string | null | undefined;
}

/** Refuses a page that is too large, too small, or asked for from both ends. */
export function checkPage(args: PageArguments): void {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > pageSize.maxSize)) {
      throw badUserInput(`\`${name}\` must be 1 to ${pageSize.maxSize}, not ${size}.`);
    }
  }
  if (args.first != null && args.last != null) throw badUserInput('Give `first` or `last`, not both.');
}

type KeyKind = 'text' | 'integer' | 'time' | 'uuid';

/** The fields that a list is ordered by, the most significant first, with their types. */
type KeyFields = Record<string, KeyKind>;

type KeyValue<K extends KeyKind> = K extends 'integer' ? number : K extends 'time' ? Date : string;

/** The values that place a row in its list. */
export type Key<F extends KeyFields> = { [N in keyof F]: KeyValue<F[N]> };

/** A part of a list: at most `limit` rows between two keys, from the end if `inverted`. */
export interface Slice<K> {
  after: K | null;
  before: K | null;
  limit: number;
  inverted: boolean;
}

type Condition<F extends KeyFields> = {
  [N in keyof F]?: KeyValue<F[N]> | { gt: KeyValue<F[N]> } | { lt: KeyValue<F[N]> };
};

/** Keyset pagination for one list: its order and its pagination cursors. */
export class Keyset<F extends KeyFields> {
  private readonly fields: F;
  private readonly names: Extract<keyof F, string>[] = [];

  constructor(fields: F) {
    this.fields = fields;
    for (const name in fields) this.names.push(name);
  }

  /** The pagination cursor of a row. */
  encode(row: Key<F>): string {
    return encodePageCursor(...this.names.map((name) => plain(row[name])));
  }

  /** The key in a cursor, or null without a cursor. Throws `BAD_USER_INPUT` for the cursor of another list. */
  decode(cursor: string | null | undefined): Key<F> | null {
    if (cursor == null) return null;
    const kinds = Object.entries(this.fields);
    const values = parseCursor(cursor);
    if (Array.isArray(values) && values.length === kinds.length) {
      const key = Object.fromEntries(kinds.map(([name, kind], i) => [name, valueOf(kind, values[i])]));
      if (this.isKey(key)) return key;
    }
    throw badUserInput('The pagination cursor is malformed, or from another list.');
  }

  /** Prisma's condition for the rows of a slice. */
  between({ after, before }: Pick<Slice<Key<F>>, 'after' | 'before'>): { OR: Condition<F>[] }[] {
    return [...(after ? [this.beyond(after, 'gt')] : []), ...(before ? [this.beyond(before, 'lt')] : [])];
  }

  /** Prisma's order for a slice. All fields have the same direction. */
  orderOf({ inverted }: Pick<Slice<Key<F>>, 'inverted'>): { [N in keyof F]?: 'asc' | 'desc' }[];
  orderOf({ inverted }: Pick<Slice<Key<F>>, 'inverted'>): object[] {
    return this.names.map((name) => ({ [name]: inverted ? 'desc' : 'asc' }));
  }

  private beyond(key: Key<F>, side: 'gt' | 'lt'): { OR: Condition<F>[] };
  private beyond(key: Key<F>, side: 'gt' | 'lt'): { OR: object[] } {
    const alternatives = this.names.map((name, i): object => {
      const same = this.names.slice(0, i).map((earlier) => [earlier, key[earlier]] as const);
      return Object.fromEntries<unknown>([...same, [name, { [side]: key[name] }]]);
    });
    return { OR: alternatives };
  }

  private isKey(key: Record<string, unknown>): key is Key<F> {
    return Object.values(key).every((value) => value !== undefined);
  }
}

/** An entry of a page. Its cursor is made only where it is asked for. */
class Edge<T> {
  readonly node: T;
  private readonly cursorOf: (node: T) => string;

  constructor(node: T, cursorOf: (node: T) => string) {
    this.node = node;
    this.cursorOf = cursorOf;
  }

  get cursor(): string {
    return this.cursorOf(this.node);
  }
}

/** Reads one page of a list without counting rows. `load` returns the rows of the slice in the order asked for. */
export async function keysetPage<F extends KeyFields, T extends object>(
  args: PageArguments,
  keyset: Keyset<F>,
  keyOf: (row: T) => Key<F>,
  load: (slice: Slice<Key<F>>) => Promise<T[]>,
): Promise<ConnectionPage<T>> {
  checkPage(args);
  const { edges, pageInfo } = await resolveCursorConnection(
    { args, ...pageSize, toCursor: (_row: T) => '' },
    ({ after, before, limit, inverted }: ResolveCursorConnectionArgs) =>
      load({ after: keyset.decode(after), before: keyset.decode(before), limit, inverted }),
  );
  const cursorOf = (row: T) => keyset.encode(keyOf(row));
  const [first, last] = [edges[0], edges.at(-1)];
  return {
    edges: edges.map(({ node }) => new Edge(node, cursorOf)),
    pageInfo: {
      ...pageInfo,
      // On an empty page the library returns the cursor that was given, or an empty string; null is right then.
      startCursor: first ? cursorOf(first.node) : pageInfo.startCursor || null,
      endCursor: last ? cursorOf(last.node) : pageInfo.endCursor || null,
    },
  };
}

/** A pagination cursor from a row's ordering values. */
export function encodePageCursor(...values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** No cursor has this many characters. A longer one is not decoded. */
const MAX_CURSOR = 1024;

function plain(value: string | number | Date): string | number {
  return value instanceof Date ? value.getTime() : value;
}

function parseCursor(cursor: string): unknown {
  if (cursor.length > MAX_CURSOR) return null;
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return null;
  }
}

/** The value of a part of a cursor, or undefined if it is not of this kind. A time is in milliseconds. */
function valueOf(kind: KeyKind, part: unknown): unknown {
  if (!checks[kind](part)) return undefined;
  return kind === 'time' ? new Date(Number(part)) : part;
}

const checks: Record<KeyKind, (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string' && value.isWellFormed() && !value.includes('\0'),
  integer: (value) => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31,
  // PostgreSQL's range of years is smaller than JavaScript's.
  time: (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < Date.UTC(10_000, 0),
  uuid: (value) => typeof value === 'string' && isUuid(value),
};
