import type pg from 'pg';

/**
 * A row for each word of a passage, as spelt there. Leaves out numbers and short words, whose misspellings cannot be recognized, and stop
 * words, which cannot be searched for.
 */
const wordsOf = (passage: string) => `
  unnest(tsvector_to_array(to_tsvector('simple'::regconfig,
    ${passage}.title || ' ' || ${passage}.heading || ' ' || ${passage}.text))) AS word
  WHERE word ~ '^[[:alpha:]]+(-[[:alpha:]]+)*$' AND length(word) BETWEEN 4 AND 40
    AND to_tsvector('english'::regconfig, word) <> ''`;

/** Deletes the articles' passages. Returns their words, some of which may now be missing from the corpus. */
export async function deletePassages(db: pg.PoolClient, articleIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ word: string }>({
    text: `
      WITH gone AS (DELETE FROM passage WHERE article_id = ANY ($1::uuid[]) RETURNING title, heading, text)
      SELECT DISTINCT word FROM gone, ${wordsOf('gone')}`,
    values: [articleIds],
  });
  return rows.map(({ word }) => word);
}

/** Adds the words of these articles' passages, and returns them. */
export async function addWords(db: pg.PoolClient, corpusId: string, articleIds: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ word: string }>({
    text: `
      WITH present AS MATERIALIZED (
        SELECT DISTINCT word FROM (SELECT * FROM passage WHERE article_id = ANY ($2::uuid[])) AS p, ${wordsOf('p')}
      ),
      added AS (INSERT INTO corpus_word (corpus_id, word) SELECT $1, word FROM present ON CONFLICT DO NOTHING)
      SELECT word FROM present`,
    values: [corpusId, articleIds],
  });
  return rows.map(({ word }) => word);
}

/** Removes those words that no passage of the corpus has any more. A word stays as long as another form of it is used. */
export async function removeUnusedWords(db: pg.PoolClient, corpusId: string, words: readonly string[]): Promise<void> {
  if (words.length === 0) return;
  await db.query({
    text: `
      DELETE FROM corpus_word WHERE corpus_id = $1 AND word = ANY ($2::text[])
        AND NOT EXISTS (
          SELECT FROM corpus_term AS c, unnest(tsvector_to_array(to_tsvector('english'::regconfig, word))) AS stem
          WHERE c.corpus_id = $1 AND term = stem AND passages > 0)`,
    values: [corpusId, words],
  });
}
