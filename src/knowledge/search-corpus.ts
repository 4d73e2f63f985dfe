import type { Pool } from '../db.ts';
import { decodeId } from '../ids.ts';
import { ValueReader, valueLimits } from '../value-reader.ts';
import type { CorpusOwner } from './corpora.ts';
import type { KnowledgeBase } from './knowledge-base.ts';
import { type KnowledgePassage, MAX_PASSAGES } from './search.ts';

export interface SearchInput {
  corpusId: string;
  query: string;
  tags?: readonly string[] | null | undefined;
  first: number;
}

/** Searches a corpus of this owner. Null if there is no such corpus. Throws `InvalidInputError` for an invalid question, `UnavailableError` when too many search. */
export async function searchCorpus(
  { pool, knowledge }: { pool: Pool; knowledge: KnowledgeBase },
  { organizationId }: CorpusOwner,
  { corpusId: id, query, tags, first }: SearchInput,
): Promise<KnowledgePassage[] | null> {
  const reader = new ValueReader();
  reader.text(['query'], query, valueLimits.systemText);
  tags?.forEach((tag, index) => reader.text(['tags', String(index)], tag));
  if (first < 1 || first > MAX_PASSAGES)
    reader.refuse(['first'], `Must be 1 to ${MAX_PASSAGES}, not ${first}.`, 'OUT_OF_RANGE');
  reader.finish();
  const corpusId = decodeId('Corpus', id);
  const corpus = await pool.query({
    text: 'SELECT FROM corpus WHERE id = $1 AND organization_id = $2',
    values: [corpusId, organizationId],
  });
  if (corpusId === null || corpus.rowCount === 0) return null;
  const { passages } = await knowledge.search({ corpusId, query, tags: tags ?? [], limit: first });
  return passages;
}
