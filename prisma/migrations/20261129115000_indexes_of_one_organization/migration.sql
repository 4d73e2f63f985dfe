-- An entry of these indexes belongs to one organization, so that what one holds neither slows the search of another nor is told
-- by its time. The seed makes the entries of two organizations differ; who finds by them compares the texts themselves as well.
CREATE FUNCTION "terms_of_organization"(uuid, text[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ARRAY(SELECT DISTINCT hashtextextended(term, hashtextextended($1::text, 0)) FROM unnest($2) term)
$$;

-- Each three characters that stand together: a text holds another only if it holds all of those.
CREATE FUNCTION "threes_of"(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ARRAY(SELECT DISTINCT substr($1, place, 3) FROM generate_series(1, length($1) - 2) place)
$$;

CREATE INDEX "contact_terms_idx" ON "contact"
  USING GIN ("terms_of_organization"("organization_id", "threes_of"(lower(coalesce("display_name", '') || ' ' || coalesce("email", '') || ' ' || coalesce("external_id", ''))))) WITH (gin_pending_list_limit = 256);
DROP INDEX "contact_words_idx";

CREATE INDEX "conversation_label_terms_idx" ON "conversation"
  USING GIN ("terms_of_organization"("organization_id", "labels")) WITH (gin_pending_list_limit = 256) WHERE "labels" <> '{}';
DROP INDEX "conversation_labels_idx";
