-- A row that refers to one of another organization is refused by the database, whatever the server that writes it believes.
CREATE UNIQUE INDEX "agent_organization_id_id_key" ON "agent"("organization_id", "id");
CREATE UNIQUE INDEX "contact_organization_id_id_key" ON "contact"("organization_id", "id");
CREATE UNIQUE INDEX "inbox_organization_id_id_key" ON "inbox"("organization_id", "id");
CREATE UNIQUE INDEX "corpus_organization_id_id_key" ON "corpus"("organization_id", "id");
CREATE UNIQUE INDEX "conversation_organization_id_id_key" ON "conversation"("organization_id", "id");
-- An article has the organization of its corpus. A passage names both, since searches read the passages of a corpus.
CREATE UNIQUE INDEX "article_corpus_id_id_key" ON "article"("corpus_id", "id");

-- A default that does not exist counts as none.
UPDATE "organization" SET "default_agent_id" = NULL
  WHERE NOT EXISTS (SELECT FROM "agent" WHERE "agent"."id" = "default_agent_id" AND "agent"."organization_id" = "organization"."id");

-- Each takes the place and the name of one that knows only the id. Rows that exist are not read here: that would hold up who writes.
ALTER TABLE "organization" ADD CONSTRAINT "organization_default_agent_id_fkey" FOREIGN KEY ("id", "default_agent_id") REFERENCES "agent"("organization_id", "id") ON DELETE SET NULL ("default_agent_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "agent" DROP CONSTRAINT "agent_corpus_id_fkey", ADD CONSTRAINT "agent_corpus_id_fkey" FOREIGN KEY ("organization_id", "corpus_id") REFERENCES "corpus"("organization_id", "id") ON DELETE SET NULL ("corpus_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "inbox" DROP CONSTRAINT "inbox_agent_id_fkey", ADD CONSTRAINT "inbox_agent_id_fkey" FOREIGN KEY ("organization_id", "agent_id") REFERENCES "agent"("organization_id", "id") ON DELETE SET NULL ("agent_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "passage" DROP CONSTRAINT "passage_article_id_fkey", ADD CONSTRAINT "passage_article_id_fkey" FOREIGN KEY ("corpus_id", "article_id") REFERENCES "article"("corpus_id", "id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
ALTER TABLE "unanswered_question" DROP CONSTRAINT "unanswered_question_corpus_id_fkey", ADD CONSTRAINT "unanswered_question_corpus_id_fkey" FOREIGN KEY ("organization_id", "corpus_id") REFERENCES "corpus"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
ALTER TABLE "conversation" DROP CONSTRAINT "conversation_agent_id_fkey", ADD CONSTRAINT "conversation_agent_id_fkey" FOREIGN KEY ("organization_id", "agent_id") REFERENCES "agent"("organization_id", "id") ON DELETE RESTRICT ON UPDATE CASCADE NOT VALID;
ALTER TABLE "conversation" DROP CONSTRAINT "conversation_contact_id_fkey", ADD CONSTRAINT "conversation_contact_id_fkey" FOREIGN KEY ("organization_id", "contact_id") REFERENCES "contact"("organization_id", "id") ON DELETE SET NULL ("contact_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "conversation" DROP CONSTRAINT "conversation_inbox_id_fkey", ADD CONSTRAINT "conversation_inbox_id_fkey" FOREIGN KEY ("organization_id", "inbox_id") REFERENCES "inbox"("organization_id", "id") ON DELETE SET NULL ("inbox_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "conversation" DROP CONSTRAINT "conversation_corpus_id_fkey", ADD CONSTRAINT "conversation_corpus_id_fkey" FOREIGN KEY ("organization_id", "corpus_id") REFERENCES "corpus"("organization_id", "id") ON DELETE SET NULL ("corpus_id") ON UPDATE CASCADE NOT VALID;
ALTER TABLE "handoff" DROP CONSTRAINT "handoff_conversation_id_fkey", ADD CONSTRAINT "handoff_conversation_id_fkey" FOREIGN KEY ("organization_id", "conversation_id") REFERENCES "conversation"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
ALTER TABLE "message" DROP CONSTRAINT "message_conversation_id_fkey", ADD CONSTRAINT "message_conversation_id_fkey" FOREIGN KEY ("organization_id", "conversation_id") REFERENCES "conversation"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
ALTER TABLE "search_text" DROP CONSTRAINT "search_text_conversation_id_fkey", ADD CONSTRAINT "search_text_conversation_id_fkey" FOREIGN KEY ("organization_id", "conversation_id") REFERENCES "conversation"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE NOT VALID;
