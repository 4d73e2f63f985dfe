import { createHash } from 'node:crypto';
import type { Pool, Queryable } from '../db.ts';
import type { NewId } from '../ids.ts';
import { contentWords } from './asked-words.ts';
import { articleLimits } from './read-article.ts';

export interface UnansweredServices {
  pool: Pool;
  newId: NewId;
}

/** Of an organization; what was asked longest ago goes first. */
export const MAX_UNANSWERED = 1000;

/** Two questions are alike when they share so many of the stems that either has. */
const ALIKE = 0.6;

/**
 * Keeps what a corpus was asked in vain: once for questions that are alike, with how often and when. Nothing is kept of a message
 * that is gone or erased; whoever erases it locks it first, and then sees what was kept.
 */
export async function keepUnanswered(
  { pool, newId }: UnansweredServices,
  { corpusId, text, messageId = null }: { corpusId: string; text: string; messageId?: string | null },
): Promise<void> {
  const words = contentWords(text.slice(0, 1000));
  if (words.length === 0) return;
  const stems = await stemsOf(pool, words);
  if (stems.length === 0) return;
  const { rows } = await pool.query<{ organizationId: string }>({
    name: 'keep-unanswered',
    text: `
      WITH alike AS (
        SELECT id FROM unanswered_question, LATERAL (
          SELECT count(*)::float8 AS shared FROM unnest(terms) AS term WHERE term = ANY ($4::text[])
        ) AS s
        WHERE corpus_id = $2 AND shared >= ${ALIKE} * (cardinality(terms) + cardinality($4::text[]) - shared)
        ORDER BY shared / (cardinality(terms) + cardinality($4::text[]) - shared) DESC, id LIMIT 1
      ),
      again AS (
        UPDATE unanswered_question SET asked_count = asked_count + 1, last_asked_at = now()
        WHERE id = (SELECT id FROM alike) RETURNING id
      )
      INSERT INTO unanswered_question AS u (id, organization_id, corpus_id, text, terms, likeness, message_id)
      SELECT $1, organization_id, id, $3, $4, $5, $6 FROM corpus
      WHERE id = $2 AND NOT EXISTS (SELECT FROM again)
        AND ($6::uuid IS NULL OR EXISTS (SELECT FROM message WHERE message.id = $6 AND erased_at IS NULL FOR KEY SHARE))
      ON CONFLICT (corpus_id, likeness) DO UPDATE SET asked_count = u.asked_count + 1, last_asked_at = now()
      RETURNING organization_id AS "organizationId"`,
    values: [
      newId(),
      corpusId,
      keptText(text),
      stems,
      createHash('sha256').update(stems.join(' ')).digest('hex'),
      messageId,
    ],
  });
  if (rows[0]) await dropOldest(pool, rows[0].organizationId);
}

async function stemsOf(pool: Pool, words: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ stems: string[] }>({
    text: `SELECT tsvector_to_array(to_tsvector('english'::regconfig, $1)) AS stems`,
    values: [words.join(' ')],
  });
  return rows[0]?.stems ?? [];
}

/** A question as it is kept: as that of an article can be. */
export function keptText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '').trim());
  return bytes
    .toString('utf8', 0, articleLimits.question)
    .replace(/\uFFFD+$/, '')
    .trim();
}

async function dropOldest(pool: Pool, organizationId: string): Promise<void> {
  await pool.query({
    name: 'drop-oldest-unanswered',
    text: `
      DELETE FROM unanswered_question WHERE id IN (
        SELECT id FROM unanswered_question WHERE organization_id = $1
        ORDER BY last_asked_at DESC, id DESC OFFSET ${MAX_UNANSWERED})`,
    values: [organizationId],
  });
}

/** Forgets the questions that these messages were the first to ask. The caller has locked the messages. */
export async function forgetQuestions(
  db: Queryable,
  { organizationId, messageIds }: { organizationId: string; messageIds: readonly string[] },
): Promise<void> {
  await db.query({
    name: 'forget-questions',
    text: 'DELETE FROM unanswered_question WHERE message_id = ANY($1::uuid[])',
    values: [messageIds],
  });
  // Of what was kept before messages were noted, only the text tells.
  const { rows } = await db.query<{ text: string }>({
    name: 'read-questions',
    text: `SELECT left(string_agg(f.text, '' ORDER BY f.index), ${articleLimits.question + 1000}) AS text
      FROM message m JOIN fragment f ON f.message_id = m.id
      WHERE m.id = ANY($1::uuid[]) AND m.role = 'USER'
        AND EXISTS (SELECT FROM unanswered_question WHERE organization_id = $2 AND message_id IS NULL)
      GROUP BY m.id`,
    values: [messageIds, organizationId],
  });
  if (rows.length === 0) return;
  await db.query({
    name: 'forget-old-questions',
    text: 'DELETE FROM unanswered_question WHERE organization_id = $1 AND message_id IS NULL AND text = ANY($2::text[])',
    values: [organizationId, rows.map(({ text }) => keptText(text))],
  });
}
