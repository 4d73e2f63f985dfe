/** What the words of a passage are to the index passage_search_idx: written in any other way, the index is not used. */
export const searchable = `(setweight(to_tsvector('english'::regconfig, title || ' ' || heading), 'A') || setweight(to_tsvector('english'::regconfig, text), 'B'))`;
