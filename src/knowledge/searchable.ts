/** The expression of the index passage_search_idx. A query must use exactly this expression, or the index is not used. */
export const searchable = `(setweight(to_tsvector('english'::regconfig, title || ' ' || heading), 'A') || setweight(to_tsvector('english'::regconfig, text), 'B'))`;
