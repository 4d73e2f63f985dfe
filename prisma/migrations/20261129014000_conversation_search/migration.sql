-- The words that the keyword of conversations finds, apart from the texts: titles, and texts of the roles that end users see.
-- What is hidden has no row. Every server keeps it, whatever it knows of it: by triggers. Rows of what was there before are
-- added in batches, by the servers, from "search_backfill".
CREATE TABLE "search_text" (
    "source_id" UUID NOT NULL,
    "index" INTEGER NOT NULL,
    "conversation_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "words" tsvector NOT NULL,

    CONSTRAINT "search_text_pkey" PRIMARY KEY ("source_id","index")
);

CREATE INDEX "search_text_conversation_id_idx" ON "search_text"("conversation_id");

ALTER TABLE "search_text" ADD CONSTRAINT "search_text_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversation"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- An entry of the index belongs to one organization, so that what one holds does not slow the search of another. Few entries
-- may wait unsorted: every search reads those, whosever they are.
CREATE FUNCTION "search_terms"(uuid, tsvector) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ARRAY(SELECT $1::text || ':' || word FROM unnest(tsvector_to_array($2)) word)
$$;
CREATE INDEX "search_text_terms_idx" ON "search_text" USING GIN ("search_terms"("organization_id", "words")) WITH (gin_pending_list_limit = 256);

CREATE TABLE "search_backfill" (
    "kind" TEXT NOT NULL,
    "done_to" UUID,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "search_backfill_pkey" PRIMARY KEY ("kind")
);
INSERT INTO "search_backfill" ("kind", "finished_at")
  VALUES ('title', CASE WHEN NOT EXISTS (SELECT FROM "conversation") THEN now() END),
    ('text', CASE WHEN NOT EXISTS (SELECT FROM "message") THEN now() END);

CREATE FUNCTION "search_title"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_text (source_id, index, conversation_id, organization_id, words)
  VALUES (NEW.id, 0, NEW.id, NEW.organization_id, list_words(coalesce(NEW.title, '')))
  ON CONFLICT (source_id, index) DO UPDATE SET words = EXCLUDED.words;
  RETURN NULL;
END
$$;
CREATE TRIGGER "search_new_title" AFTER INSERT ON "conversation" FOR EACH ROW
  WHEN (NEW.title IS NOT NULL) EXECUTE FUNCTION "search_title"();
CREATE TRIGGER "search_changed_title" AFTER UPDATE OF "title" ON "conversation" FOR EACH ROW
  WHEN (NEW.title IS DISTINCT FROM OLD.title) EXECUTE FUNCTION "search_title"();

-- A text that still grows is not searched: its message's end takes it in, or the folding of what has grown.
CREATE FUNCTION "search_fragment"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_text (source_id, index, conversation_id, organization_id, words)
  SELECT NEW.message_id, NEW.index, m.conversation_id, m.organization_id, list_words(NEW.text) FROM message m
  WHERE m.id = NEW.message_id AND m.role IN ('USER', 'AGENT') AND m.status <> 'IN_PROGRESS'
  ON CONFLICT (source_id, index) DO UPDATE SET words = EXCLUDED.words;
  RETURN NULL;
END
$$;
CREATE TRIGGER "search_text_of_fragment" AFTER INSERT OR UPDATE OF "text" ON "fragment" FOR EACH ROW
  WHEN (NEW.kind = 'TEXT') EXECUTE FUNCTION "search_fragment"();

CREATE FUNCTION "search_ended_message"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO search_text (source_id, index, conversation_id, organization_id, words)
  SELECT f.message_id, f.index, NEW.conversation_id, NEW.organization_id, list_words(f.text) FROM fragment f
  WHERE f.message_id = NEW.id AND f.kind = 'TEXT'
    AND NOT EXISTS (SELECT FROM chunk c WHERE c.message_id = f.message_id AND c.fragment_index = f.index)
  ON CONFLICT (source_id, index) DO UPDATE SET words = EXCLUDED.words;
  RETURN NULL;
END
$$;
CREATE TRIGGER "search_text_of_ended_message" AFTER UPDATE OF "status" ON "message" FOR EACH ROW
  WHEN (OLD.status = 'IN_PROGRESS' AND NEW.status <> 'IN_PROGRESS' AND NEW.role IN ('USER', 'AGENT'))
  EXECUTE FUNCTION "search_ended_message"();
