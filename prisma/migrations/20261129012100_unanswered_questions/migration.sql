-- CreateTable
CREATE TABLE "unanswered_question" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "corpus_id" UUID NOT NULL,
    "text" TEXT NOT NULL,
    "terms" TEXT[],
    "likeness" TEXT NOT NULL,
    "asked_count" INTEGER NOT NULL DEFAULT 1,
    "first_asked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_asked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "unanswered_question_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "unanswered_question_organization_id_asked_count_id_idx" ON "unanswered_question"("organization_id", "asked_count", "id");

-- CreateIndex
CREATE UNIQUE INDEX "unanswered_question_corpus_id_likeness_key" ON "unanswered_question"("corpus_id", "likeness");

-- AddForeignKey
ALTER TABLE "unanswered_question" ADD CONSTRAINT "unanswered_question_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE CASCADE ON UPDATE CASCADE;
