-- The owner of a database may create this extension, which is part of PostgreSQL's contrib.
CREATE EXTENSION IF NOT EXISTS "pg_trgm";

-- DropIndex
DROP INDEX "corpus_organization_id_idx";

-- CreateTable
CREATE TABLE "corpus_word" (
    "corpus_id" UUID NOT NULL,
    "word" TEXT NOT NULL,

    CONSTRAINT "corpus_word_pkey" PRIMARY KEY ("corpus_id","word")
);

-- CreateIndex
CREATE INDEX "corpus_organization_id_name_id_idx" ON "corpus"("organization_id", "name", "id");

-- AddForeignKey
ALTER TABLE "corpus_word" ADD CONSTRAINT "corpus_word_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- CreateIndex
CREATE INDEX "corpus_word_word_idx" ON "corpus_word" USING GIN ("word" gin_trgm_ops);

-- By hand: Prisma has no word for an index over an expression or a part of a table, and leaves it alone.
CREATE INDEX "article_title_idx" ON "article" USING GIN ((to_tsvector('english'::regconfig, "title")));
-- For those who delete a corpus.
CREATE INDEX "conversation_corpus_id_idx" ON "conversation"("corpus_id") WHERE "corpus_id" IS NOT NULL;

-- The words of a corpus that share trigrams with this one, the most similar first. At the usual threshold of 0.3, a short word in
-- which two letters have changed places would not be found.
CREATE FUNCTION "similar_words"("corpus_id" uuid, "misspelt" text) RETURNS SETOF text LANGUAGE sql STABLE
SET "pg_trgm.similarity_threshold" = 0.2 AS $$
  SELECT w.word FROM corpus_word AS w WHERE w.corpus_id = $1 AND w.word % $2 ORDER BY similarity(w.word, $2) DESC, w.word LIMIT 20
$$;

-- The words of the passages that are there already, as src/knowledge/words.ts keeps them from now on.
INSERT INTO "corpus_word" ("corpus_id", "word")
SELECT DISTINCT "corpus_id", "word"
FROM "passage", unnest(tsvector_to_array(to_tsvector('simple'::regconfig, "title" || ' ' || "heading" || ' ' || "text"))) AS "word"
WHERE "word" ~ '^[[:alpha:]]+(-[[:alpha:]]+)*$' AND length("word") BETWEEN 4 AND 40
  AND to_tsvector('english'::regconfig, "word") <> '';
