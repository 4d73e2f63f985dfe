import type pg from 'pg';
import type { Pool, Queryable } from '../../db.ts';
import type { Caller } from '../../access/caller.ts';
import type { SearchTurns } from '../../search-turns.ts';
import { ValueReader } from '../../value-reader.ts';

/** How many words of a keyword count. */
const KEYWORDS = 20;
/** Up to this many matches are listed before the page is read. If there are more, reading the page meets them often enough. */
const FEW = 1000;

/** The conversations that a keyword finds: a list of ids if they are few, else a text query. */
export type Found = { conversationIds: readonly string[] } | { query: string };

/** Finds conversations by words in their titles and visible texts. */
export class ConversationSearch {
  private readonly pool: Pool;
  private readonly turns: SearchTurns;

  constructor(pool: Pool, turns: SearchTurns) {
    this.pool = pool;
    this.turns = turns;
  }

  /**
   * What a keyword finds, for asking it of a few conversations. Takes no turn, since it reads no texts.
   * @throws {InvalidInputError} if the keyword is not a valid text, or too long.
   */
  async queryOf(keyword: string): Promise<Found> {
    return find(this.pool, null, readPhrases(keyword));
  }

  /**
   * Runs `list` with the result of the keyword.
   * @throws {UnavailableError} if too many searches wait, or this one takes too long.
   * @throws {InvalidInputError} if the keyword is not a valid text, or too long.
   */
  async run<T>(
    { organizationId, confinedTo }: Pick<Caller, 'organizationId' | 'confinedTo'>,
    keyword: string,
    list: (client: pg.PoolClient, found: Found) => Promise<T>,
  ): Promise<T> {
    const phrases = readPhrases(keyword);
    return this.turns.run(organizationId, async (client) => {
      await client.query(planSql);
      // An end user's conversations are read one by one. The timing of a shared index would reveal something about others' texts.
      return list(client, await find(client, confinedTo ? null : organizationId, phrases));
    });
  }
}

/** Forces plans that find texts by conversation or by word, and never scan those of all organizations. */
const planSql = 'SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off';

function readPhrases(keyword: string): string[] {
  const reader = new ValueReader();
  const words = reader.text(['keyword'], keyword) ?? '';
  reader.finish();
  return words.split(/\s+/).filter(Boolean).slice(0, KEYWORDS);
}

async function find(client: Queryable, organizationId: string | null, phrases: string[]): Promise<Found> {
  const [wanted] = (
    await client.query<{ query: string; words: string[] }>({
      text: `SELECT (${phrases.map((_, i) => `list_phrase($${i + 1})`).join(' && ') || "''::tsquery"})::text AS query,
        tsvector_to_array(list_words(concat_ws(' ', ${phrases.map((_, i) => `$${i + 1}::text`).join(', ') || 'NULL'}))) AS words`,
      values: phrases,
    })
  ).rows;
  if (!wanted || wanted.words.length === 0) return { conversationIds: [] };
  const { query, words } = wanted;
  if (organizationId === null) return { query };
  const terms = words.map((word) => `${organizationId}:${word}`);
  // The index has the words without their order. The order is checked on the rows found.
  const { rows } = await client.query<{ id: string }>({
    text: `SELECT DISTINCT conversation_id AS id FROM (
      SELECT conversation_id FROM search_text
      WHERE search_terms(organization_id, words) @> $1::text[] AND words @@ $2::tsquery LIMIT ${FEW + 1}
    ) found`,
    values: [terms, query],
  });
  return rows.length > FEW ? { query } : { conversationIds: rows.map(({ id }) => id) };
}
