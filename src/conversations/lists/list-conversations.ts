import type { Caller } from '../../access/caller.ts';
import { readerOf } from '../../access/person.ts';
import type { ConversationStatus } from '../../generated/prisma/enums.ts';
import type { Pool, Queryable } from '../../db.ts';
import { decodeId, type IdType } from '../../ids.ts';
import { ValueReader } from '../../value-reader.ts';
import type { SearchTurns } from '../../search-turns.ts';
import { hasUnread } from './read-marks.ts';
import type { ConversationSearch, Found } from './search.ts';

/** A conversation must match all fields that are given. */
export interface ConversationFilter {
  agentId?: string | null | undefined;
  contactId?: string | null | undefined;
  inboxId?: string | null | undefined;
  status?: readonly ConversationStatus[] | null | undefined;
  handoffStatus?: readonly ('WAITING' | 'ACCEPTED')[] | null | undefined;
  /** All of these words occur in the title, or in one text of a message that end users see. */
  keyword?: string | null | undefined;
  /** It has all of these. */
  labels?: readonly string[] | null | undefined;
  /** For a lister who has a read mark. */
  unread?: boolean | null | undefined;
  assignedTo?: AssigneeFilter | null | undefined;
  metadata?: unknown;
  created?: DateTimeRange | null | undefined;
  updated?: DateTimeRange | null | undefined;
}

/** Who has the handoff in force. Exactly one field is given. */
export interface AssigneeFilter {
  me?: boolean | null | undefined;
  operatorId?: string | null | undefined;
  nobody?: boolean | null | undefined;
}

interface DateTimeRange {
  from?: Date | null | undefined;
  to?: Date | null | undefined;
}

export interface ListOrder {
  /** `waitingSince` lists only conversations whose handoff waits. */
  field: 'createdAt' | 'updatedAt' | 'waitingSince';
  direction: 'asc' | 'desc';
}

export interface ListedConversation {
  id: string;
  /** The value of the ordering field. */
  at: Date;
}

/** A place in the list: the value of the ordering field, and the id that breaks ties. */
export interface ListPlace {
  at: Date;
  id: string;
}

/** A page of the conversations that match the filter and the keyword. Throws like `ConversationSearch.run`. */
export async function searchConversations(
  services: SearchServices,
  caller: Lister,
  query: ListQuery,
): Promise<ListedConversation[]> {
  return inItsTurn(services, caller, query.filter, (db, found) => listConversations(db, caller, query, found));
}

interface SearchServices {
  pool: Pool;
  search: ConversationSearch;
  searchTurns: SearchTurns;
}

/** Runs at once what reads along an index, and in its turn what may have to look at each conversation. */
function inItsTurn<T>(
  { pool, search, searchTurns }: SearchServices,
  caller: Lister,
  { keyword, metadata }: ConversationFilter,
  list: (db: Queryable, found: Found | null) => Promise<T>,
): Promise<T> {
  // A blank keyword counts as none.
  if (keyword?.trim()) return search.run(caller, keyword, list);
  if (metadata == null || caller.confinedTo) return list(pool, null);
  return searchTurns.run(caller.organizationId, (client) => list(client, null));
}

export type Lister = Pick<Caller, 'organizationId' | 'confinedTo' | 'operatorId'>;

interface ListQuery {
  filter: ConversationFilter;
  order: ListOrder;
  after: ListPlace | null;
  before: ListPlace | null;
  limit: number;
  inverted: boolean;
}

/** How many conversations match, counted no further than `upTo`. Throws like `ConversationSearch.run`. */
export async function countConversations(
  services: SearchServices,
  caller: Lister,
  { filter, upTo }: { filter: ConversationFilter; upTo: number },
): Promise<number> {
  return inItsTurn(services, caller, filter, async (db, found) => {
    const where = conditionsOf(caller, filter, found);
    const { rows } = await db.query<{ count: number }>({
      text: `SELECT count(*)::int AS count
        FROM (SELECT FROM conversation c WHERE ${where.sql()} LIMIT ${where.value(upTo)}) AS counted`,
      values: where.values,
    });
    return rows[0]?.count ?? 0;
  });
}

function conditionsOf(lister: Lister, filter: ConversationFilter, found: Found | null) {
  const where = new Conditions();
  where.addLister(lister);
  where.addFilter(filter, lister);
  if (filter.unread != null) where.addUnread(lister, filter.unread);
  if (found) where.addFound(found);
  return where;
}

/** What a list is ordered by, and the id that breaks ties: together a whole index. */
const columnsOf: Record<ListOrder['field'], [string, string]> = {
  createdAt: ['c.created_at', 'c.id'],
  updatedAt: ['c.updated_at', 'c.id'],
  waitingSince: ['h.started_at', 'h.conversation_id'],
};

/** The ids of a page, in order. Reads along the index for that order and stops at the limit. */
export async function listConversations(
  db: Queryable,
  caller: Lister,
  query: ListQuery,
  found: Found | null = null,
): Promise<ListedConversation[]> {
  const { order, after, before, inverted } = query;
  const where = conditionsOf(caller, query.filter, found);
  const [column, id] = columnsOf[order.field];
  if (order.field === 'waitingSince') where.addWaiting(caller);
  const [later, earlier] = order.direction === 'asc' ? ['>', '<'] : ['<', '>'];
  if (after) where.add(`(${column}, ${id}) ${later} (${where.value(after.at)}, ${where.value(after.id)}::uuid)`);
  if (before) where.add(`(${column}, ${id}) ${earlier} (${where.value(before.at)}, ${where.value(before.id)}::uuid)`);
  const way = (order.direction === 'asc') === inverted ? 'DESC' : 'ASC';
  const { rows } = await db.query<ListedConversation>({
    text: `SELECT c.id, ${column} AS at
      FROM conversation c ${order.field === 'waitingSince' ? 'JOIN handoff h ON h.id = c.handoff_id' : ''}
      WHERE ${where.sql()} ORDER BY ${column} ${way}, ${id} ${way} LIMIT ${where.value(query.limit)}`,
    values: where.values,
  });
  return rows;
}

/** Of these conversations, those that match the filter. */
export async function matchingConversations(
  pool: Pool,
  lister: Lister,
  filter: ConversationFilter,
  ids: readonly string[],
  found: Found | null = null,
): Promise<Set<string>> {
  const where = new Conditions();
  where.addLister(lister);
  where.add(`c.id = ANY(${where.value(ids)}::uuid[])`);
  where.addFilter(filter, lister);
  if (found) where.addFound(found);
  const { rows } = await pool.query<{ id: string }>(
    `SELECT c.id FROM conversation c WHERE ${where.sql()}`,
    where.values,
  );
  return new Set(rows.map((row) => row.id));
}

class Conditions {
  readonly values: unknown[] = [];
  private readonly parts: string[] = [];
  private organization = 'NULL::uuid';

  /** A placeholder for a value. */
  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  add(sql: string): void {
    this.parts.push(sql);
  }

  sql(): string {
    return this.parts.join(' AND ');
  }

  addLister({ organizationId, confinedTo }: Lister): void {
    this.organization = `${this.value(organizationId)}::uuid`;
    this.add(`c.organization_id = ${this.organization}`);
    if (confinedTo && 'contactId' in confinedTo) this.add(`c.contact_id = ${this.value(confinedTo.contactId)}`);
    else if (confinedTo) this.add(`c.id = ${this.value(confinedTo.conversationId)}`);
  }

  /** The conditions of the index over what waits. */
  addWaiting({ organizationId }: Lister): void {
    this.add(`h.organization_id = ${this.value(organizationId)} AND h.accepted_at IS NULL AND h.ended_at IS NULL`);
  }

  addFilter(filter: ConversationFilter, lister: Lister): void {
    this.addId('c.agent_id', 'Agent', filter.agentId);
    this.addId('c.contact_id', 'Contact', filter.contactId);
    this.addId('c.inbox_id', 'Inbox', filter.inboxId);
    if (filter.status) this.add(`c.status::text = ANY(${this.value(filter.status)})`);
    if (filter.handoffStatus) {
      this.add(`EXISTS (SELECT FROM handoff h WHERE h.id = c.handoff_id
        AND CASE WHEN h.accepted_at IS NULL THEN 'WAITING' ELSE 'ACCEPTED' END = ANY(${this.value(filter.handoffStatus)}))`);
    }
    if (filter.assignedTo) this.addAssignee(filter.assignedTo, lister);
    // The condition of the index, which holds no empty lists.
    if (filter.labels?.length) {
      const reader = new ValueReader();
      const given = filter.labels.map((label, index) => reader.text(['filter', 'labels', String(index)], label));
      reader.finish();
      const labels = this.value(given);
      this.add(`c.labels <> '{}' AND terms_of_organization(c.organization_id, c.labels)
        @> terms_of_organization(${this.organization}, ${labels}) AND c.labels @> ${labels}`);
    }
    if (filter.metadata != null) {
      const reader = new ValueReader();
      const metadata = reader.object(['filter', 'metadata'], filter.metadata);
      reader.finish();
      this.add(`c.metadata @> ${this.value(JSON.stringify(metadata))}::jsonb`);
    }
    this.addRange('c.created_at', filter.created);
    this.addRange('c.updated_at', filter.updated);
  }

  addUnread(lister: Lister, unread: boolean): void {
    this.add(`${unread ? '' : 'NOT '}${hasUnread('c.id', this.value(readerOf(lister)))}`);
  }

  private addAssignee({ me, operatorId, nobody }: AssigneeFilter, lister: Lister): void {
    const isInForce = `h.id = c.handoff_id AND h.organization_id = ${this.value(lister.organizationId)}`;
    if (nobody != null) {
      this.add(`EXISTS (SELECT FROM handoff h WHERE ${isInForce} AND h.accepted_at IS NULL)`);
      return;
    }
    const id = me != null ? lister.operatorId : decodeId('Operator', operatorId ?? '');
    this.add(`EXISTS (SELECT FROM handoff h WHERE ${isInForce} AND h.operator_id = ${this.value(id)}::uuid)`);
  }

  addFound(found: Found): void {
    if ('conversationIds' in found) this.add(`c.id = ANY(${this.value(found.conversationIds)}::uuid[])`);
    else {
      this.add(`EXISTS (SELECT FROM search_text s
        WHERE s.conversation_id = c.id AND s.words @@ ${this.value(found.query)}::tsquery)`);
    }
  }

  /** A malformed id matches nothing. */
  private addId(column: string, type: IdType, id: string | null | undefined): void {
    if (id != null) this.add(`${column} = ${this.value(decodeId(type, id))}::uuid`);
  }

  private addRange(column: string, range: DateTimeRange | null | undefined): void {
    if (range?.from) this.add(`${column} >= ${this.value(range.from)}`);
    if (range?.to) this.add(`${column} < ${this.value(range.to)}`);
  }
}
