import type { Queryable } from '../db.ts';
import type { Contact } from '../generated/prisma/client.ts';
import type { SearchTurns } from '../search-turns.ts';
import { ValueReader } from '../value-reader.ts';
import { contactSelection } from './rows.ts';

/** A contact must match all fields that are given. */
export interface ContactFilter {
  anonymous?: boolean | null | undefined;
  metadata?: unknown;
  created?: { from?: Date | null | undefined; to?: Date | null | undefined } | null | undefined;
}

/** A place in the list. */
interface ContactPlace {
  createdAt: Date;
  id: string;
}

export interface ContactQuery {
  organizationId: string;
  keyword?: string | null | undefined;
  filter: ContactFilter;
  after: ContactPlace | null;
  before: ContactPlace | null;
  limit: number;
  inverted: boolean;
}

/** The most words that a keyword may have. */
const MAX_WORDS = 10;
/** What the index `contact_terms_idx` is over. It finds words of three characters and more. */
const words = `lower(coalesce(display_name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(external_id, ''))`;

const terms = (organization: string, text: string) => `terms_of_organization(${organization}, threes_of(${text}))`;

/**
 * A page of contacts, oldest first.
 * @throws {InvalidInputError} for a keyword or metadata that cannot be searched for.
 * @throws {UnavailableError} if too many searches wait, or this one takes too long.
 */
export async function listContacts(
  { pool, searchTurns }: { pool: Queryable; searchTurns: SearchTurns },
  query: ContactQuery,
): Promise<Contact[]> {
  const reader = new ValueReader();
  const asked = (reader.text(['keyword'], query.keyword, 200) ?? '').split(/\s+/).filter(Boolean);
  if (asked.length > MAX_WORDS) reader.refuse(['keyword'], `Has more than ${MAX_WORDS} words.`, 'TOO_LONG');
  const metadata = reader.object(['filter', 'metadata'], query.filter.metadata);
  reader.finish();
  const { after, before, filter } = query;
  const patterns = asked.map((word) => `%${word.replace(/[\\%_]/g, '\\$&')}%`);
  const like = patterns.map((_, index) => ` AND ${words} LIKE lower($${index + 12})`).join('');
  const known = asked.filter((word) => Array.from(word).length >= 3);
  const indexed =
    known.length > 0
      ? ` AND ${terms('organization_id', words)} @> (SELECT array_agg(DISTINCT term) FROM unnest($11::text[]) word,
          unnest(${terms('$1::uuid', 'lower(word)')}) term)`
      : ' AND $11::text[] IS NOT NULL';
  const way = query.inverted ? 'DESC' : 'ASC';
  const statement = {
    text: `SELECT ${contactSelection}
      FROM contact
      WHERE organization_id = $1 AND erasing_since IS NULL${indexed}${like}
        AND ($2::boolean IS NULL OR anonymous = $2) AND ($3::jsonb IS NULL OR metadata @> $3)
        AND ($4::timestamptz IS NULL OR created_at >= $4) AND ($5::timestamptz IS NULL OR created_at < $5)
        AND ($6::timestamptz IS NULL OR (created_at, id) > ($6, $7::uuid))
        AND ($8::timestamptz IS NULL OR (created_at, id) < ($8, $9::uuid))
      ORDER BY created_at ${way}, id ${way} LIMIT $10`,
    values: [
      query.organizationId,
      filter.anonymous ?? null,
      metadata === undefined ? null : JSON.stringify(metadata),
      filter.created?.from ?? null,
      filter.created?.to ?? null,
      after?.createdAt ?? null,
      after?.id ?? null,
      before?.createdAt ?? null,
      before?.id ?? null,
      query.limit,
      known,
      ...patterns,
    ],
  };
  const list = async (db: Queryable) => (await db.query<Contact>(statement)).rows;
  // What is not found along an index may have to look at each contact.
  return asked.length > 0 || metadata !== undefined ? searchTurns.run(query.organizationId, list) : list(pool);
}
