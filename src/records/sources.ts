import type pg from 'pg';
import { beginning, decodeEventPosition, encodeEventPosition, type EventPosition } from '../conversations/log/tail.ts';
import { readOrganizationEvents } from '../conversations/lists/organization-events.ts';
import { encodeId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { storedFilter } from './filter.ts';
import { tableSource } from './table-source.ts';

export const exportKinds = ['RECORDS', 'CONVERSATIONS', 'MESSAGES', 'EVENTS'] as const;
export type ExportKind = (typeof exportKinds)[number];

export type Cell = string | number | Date | null;

export interface Page {
  rows: Cell[][];
  /** Where to read on. Null at the end. */
  next: string | null;
  /** How far it has come, from 0 to 1: in time, or in the log. Nothing has to be counted for that. */
  part: number;
}

/** What is exported, a page at a time. */
export interface Source {
  columns: readonly string[];
  /** The page after this place; null is the beginning. Has up to about 4 MiB of text, or no rows although others follow. */
  page(after: string | null): Promise<Page>;
}

/** Events of one page at most. */
const PAGE_EVENTS = 1000;

/** What is to be exported from the organization, by what was stored when it was asked for. */
export function sourceOf(pool: pg.Pool, organizationId: string, kind: ExportKind, input: JsonObject): Source {
  if (kind === 'EVENTS')
    return eventSource(pool, organizationId, placeOf(input.since) ?? beginning, placeOf(input.until));
  return tableSource(pool, organizationId, kind, storedFilter(input));
}

const placeOf = (stored: unknown) => (typeof stored === 'string' ? decodeEventPosition(stored) : null);

function eventSource(pool: pg.Pool, organizationId: string, since: EventPosition, until: EventPosition | null): Source {
  /** How far the first page has come, and how far the log has. */
  let first: number | null = null;
  let last: number | null = null;
  return {
    columns: ['position', 'conversationId', 'version', 'type', 'occurredAt', 'messageId', 'actor', 'data'],
    async page(after) {
      const from = placeOf(after) ?? since;
      const { events, position, more } = await readOrganizationEvents(pool, organizationId, from, PAGE_EVENTS, until);
      first ??= Number(position.seq);
      last ??= await readLastSeq(pool);
      return {
        rows: events.map(({ conversationId, event, position: at }) => [
          at,
          encodeId('Conversation', conversationId),
          event.version,
          event.type,
          event.occurredAt,
          event.messageId && encodeId('Message', event.messageId),
          event.actor.kind,
          event.data == null ? null : JSON.stringify(event.data),
        ]),
        next: more ? encodeEventPosition(position) : null,
        part: more ? (Number(position.seq) - first) / Math.max(1, last - first) : 1,
      };
    },
  };
}

async function readLastSeq(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ last: string | null }>('SELECT max(seq)::text AS last FROM event');
  return Number(rows[0]?.last ?? 0);
}
