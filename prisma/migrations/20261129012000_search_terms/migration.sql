-- The stems of a text, once as it stands and once with names like stopReply taken apart. Each begins with the end of its corpus's
-- id, so that the index finds it in that corpus alone, however many corpora have the word.
CREATE FUNCTION "corpus_terms"("corpus_id" uuid, "text" text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT array_to_tsvector(ARRAY(
    SELECT right($1::text, 8) || ' ' || lexeme
    FROM unnest(tsvector_to_array(to_tsvector('english'::regconfig,
      $2 || ' ' || regexp_replace($2, '([[:lower:]])([[:upper:]])', '\1 \2', 'g')))) AS lexeme
  ))
$$;

-- Computed by the database, so that passages that a server of the last release writes have it too.
ALTER TABLE "passage" ADD COLUMN "terms" tsvector
  GENERATED ALWAYS AS (corpus_terms("corpus_id", "title" || ' ' || "heading" || ' ' || "text")) STORED;

-- A search reads what has not been merged into the index yet one by one: let it be little.
CREATE INDEX "passage_terms_idx" ON "passage" USING GIN ("terms") WITH (gin_pending_list_limit = 256);

-- Finds a question that an article answers by its letters and digits alone, also where all of its words are too common to tell anything.
CREATE FUNCTION "plain_question"(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT md5(btrim(regexp_replace(lower(left($1, 1000)), '[^[:alnum:]]+', ' ', 'g')))
$$;
CREATE INDEX "passage_question_idx" ON "passage" ("corpus_id", "plain_question"("text")) WHERE "question";

-- In how many passages of a corpus a stem stands; of the empty one, in how many there are.
CREATE TABLE "corpus_term" (
    "corpus_id" UUID NOT NULL,
    "term" TEXT NOT NULL,
    "passages" INTEGER NOT NULL,

    CONSTRAINT "corpus_term_pkey" PRIMARY KEY ("corpus_id","term")
);

-- AddForeignKey
ALTER TABLE "corpus_term" ADD CONSTRAINT "corpus_term_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE CASCADE ON UPDATE CASCADE;

INSERT INTO "corpus_term" ("corpus_id", "term", "passages")
SELECT "corpus_id", "term", count(*)
FROM "passage", LATERAL (SELECT substr(lexeme, 10) AS term FROM unnest(tsvector_to_array("terms")) AS lexeme UNION ALL SELECT '') AS t
GROUP BY "corpus_id", "term";

-- Keeps the counts true, whoever writes. Whoever writes passages has locked their corpus. One that is being deleted takes its
-- counts with it.
CREATE FUNCTION "count_terms"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    UPDATE corpus_term AS c SET passages = c.passages - gone.passages
    FROM (
      SELECT corpus_id, term, count(*) AS passages
      FROM changed, LATERAL (SELECT substr(lexeme, 10) AS term FROM unnest(tsvector_to_array(terms)) AS lexeme UNION ALL SELECT '') AS t
      WHERE EXISTS (SELECT FROM corpus WHERE id = corpus_id)
      GROUP BY corpus_id, term
    ) AS gone
    WHERE c.corpus_id = gone.corpus_id AND c.term = gone.term;
  ELSE
    INSERT INTO corpus_term AS c (corpus_id, term, passages)
    SELECT corpus_id, term, count(*)
    FROM changed, LATERAL (SELECT substr(lexeme, 10) AS term FROM unnest(tsvector_to_array(terms)) AS lexeme UNION ALL SELECT '') AS t
    GROUP BY corpus_id, term
    ON CONFLICT (corpus_id, term) DO UPDATE SET passages = c.passages + excluded.passages;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "passage_inserted" AFTER INSERT ON "passage" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "count_terms"();
CREATE TRIGGER "passage_deleted" AFTER DELETE ON "passage" REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "count_terms"();
