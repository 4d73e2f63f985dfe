-- Reads the rows that were there before, while others read and write.
ALTER TABLE "organization" VALIDATE CONSTRAINT "organization_default_agent_id_fkey";
ALTER TABLE "agent" VALIDATE CONSTRAINT "agent_corpus_id_fkey";
ALTER TABLE "inbox" VALIDATE CONSTRAINT "inbox_agent_id_fkey";
ALTER TABLE "passage" VALIDATE CONSTRAINT "passage_article_id_fkey";
ALTER TABLE "unanswered_question" VALIDATE CONSTRAINT "unanswered_question_corpus_id_fkey";
ALTER TABLE "conversation" VALIDATE CONSTRAINT "conversation_agent_id_fkey";
ALTER TABLE "conversation" VALIDATE CONSTRAINT "conversation_contact_id_fkey";
ALTER TABLE "conversation" VALIDATE CONSTRAINT "conversation_inbox_id_fkey";
ALTER TABLE "conversation" VALIDATE CONSTRAINT "conversation_corpus_id_fkey";
ALTER TABLE "handoff" VALIDATE CONSTRAINT "handoff_conversation_id_fkey";
ALTER TABLE "message" VALIDATE CONSTRAINT "message_conversation_id_fkey";
ALTER TABLE "search_text" VALIDATE CONSTRAINT "search_text_conversation_id_fkey";
