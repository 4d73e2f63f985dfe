import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { NewId } from '../ids.ts';
import { contentWords } from './asked-words.ts';
import { articleLimits } from './read-article.ts';

export interface UnansweredServices {
  pool: pg.Pool;
  newId: NewId;
}

/** Of an organization; what was asked longest ago goes first. */
export const MAX_UNANSWERED = 1000;

/** Two questions are alike when they share so many of the stems that either has. */
const ALIKE = 0.6;

/** Keeps what a corpus was asked in vain: once for questions that are alike, with how often and when. */
export async function keepUnanswered(
  { pool, newId }: UnansweredServices,
  { corpusId, text }: { corpusId: string; text: string },
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
      INSERT INTO unanswered_question AS u (id, organization_id, corpus_id, text, terms, likeness)
      SELECT $1, organization_id, id, $3, $4, $5 FROM corpus
      WHERE id = $2 AND NOT EXISTS (SELECT FROM again)
      ON CONFLICT (corpus_id, likeness) DO UPDATE SET asked_count = u.asked_count + 1, last_asked_at = now()
      RETURNING organization_id AS "organizationId"`,
    values: [newId(), corpusId, cleanText(text), stems, createHash('sha256').update(stems.join(' ')).digest('hex')],
  });
  if (rows[0]) await dropOldest(pool, rows[0].organizationId);
}

async function stemsOf(pool: pg.Pool, words: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ stems: string[] }>({
    text: `SELECT tsvector_to_array(to_tsvector('english'::regconfig, $1)) AS stems`,
    values: [words.join(' ')],
  });
  return rows[0]?.stems ?? [];
}

/** As the question of an article can be. */
function cleanText(text: string): string {
  const bytes = Buffer.from(text.replaceAll('\0', '').trim());
  return bytes
    .toString('utf8', 0, articleLimits.question)
    .replace(/\uFFFD+$/, '')
    .trim();
}

async function dropOldest(pool: pg.Pool, organizationId: string): Promise<void> {
  await pool.query({
    name: 'drop-oldest-unanswered',
    text: `
      DELETE FROM unanswered_question WHERE id IN (
        SELECT id FROM unanswered_question WHERE organization_id = $1
        ORDER BY last_asked_at DESC, id DESC OFFSET ${MAX_UNANSWERED})`,
    values: [organizationId],
  });
}
