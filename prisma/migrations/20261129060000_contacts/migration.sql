-- Contacts that can be found, blocked and merged. A token holds the generation that it was issued in; raising the number ends
-- all tokens of the person.
ALTER TABLE "contact" ADD COLUMN "anonymous" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN "blocked_at" TIMESTAMPTZ(3),
ADD COLUMN "token_generation" INTEGER NOT NULL DEFAULT 0;

CREATE INDEX "contact_organization_id_created_at_id_idx" ON "contact"("organization_id", "created_at", "id");
CREATE INDEX "contact_email_idx" ON "contact"("organization_id", lower("email"));
CREATE INDEX "contact_words_idx" ON "contact"
  USING GIN ((lower(coalesce("display_name", '') || ' ' || coalesce("email", '') || ' ' || coalesce("external_id", ''))) gin_trgm_ops);

-- JSON Merge Patch (RFC 7396), so that two who add to the same object at once both find what they added.
CREATE FUNCTION "merge_patch"(target jsonb, patch jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF jsonb_typeof(patch) IS DISTINCT FROM 'object' THEN RETURN patch; END IF;
  IF jsonb_typeof(target) IS DISTINCT FROM 'object' THEN target := '{}'; END IF;
  RETURN (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM (
    SELECT key, value FROM jsonb_each(target) WHERE NOT patch ? key
    UNION ALL
    SELECT key, merge_patch(target -> key, value) FROM jsonb_each(patch) WHERE jsonb_typeof(value) <> 'null') AS merged);
END
$$;
