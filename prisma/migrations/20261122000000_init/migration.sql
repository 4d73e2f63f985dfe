-- CreateEnum
CREATE TYPE "InboxChannel" AS ENUM ('WEB_CHAT', 'EMAIL', 'API', 'OTHER');

-- CreateEnum
CREATE TYPE "ConversationStatus" AS ENUM ('ACTIVE', 'HANDED_OFF', 'ENDED');

-- CreateEnum
CREATE TYPE "MessageRole" AS ENUM ('USER', 'AGENT', 'CONTROL');

-- CreateEnum
CREATE TYPE "MessageStatus" AS ENUM ('IN_PROGRESS', 'DONE', 'STOPPED', 'ERROR');

-- CreateEnum
CREATE TYPE "FragmentKind" AS ENUM ('TEXT', 'FUNCTION_CALL', 'FUNCTION_RESPONSE');

-- CreateEnum
CREATE TYPE "FragmentStatus" AS ENUM ('IN_PROGRESS', 'DONE');

-- CreateEnum
CREATE TYPE "EventType" AS ENUM ('ConversationCreated', 'MessageCreated', 'MessageCompleted', 'StateChanged', 'HandoffStarted', 'HandoffAccepted', 'HandoffEnded', 'ConversationUpdated', 'ConversationEnded', 'ConversationDeleted');

-- CreateTable
CREATE TABLE "organization" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "default_agent_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "organization_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "secret_hash" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "runtime" TEXT NOT NULL,
    "system_prompt" TEXT,
    "greeting" TEXT,
    "default_runtime_parameters" JSONB NOT NULL DEFAULT '{}',
    "playbooks" JSONB NOT NULL DEFAULT '[]',
    "corpus_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "agent_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "contact" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "external_id" TEXT,
    "display_name" TEXT,
    "avatar_url" TEXT,
    "email" TEXT,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "contact_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "inbox" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "channel" "InboxChannel" NOT NULL,
    "agent_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "inbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "corpus" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "corpus_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "article" (
    "id" UUID NOT NULL,
    "corpus_id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "url" TEXT,
    "tags" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "article_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "passage" (
    "article_id" UUID NOT NULL,
    "index" INTEGER NOT NULL,
    "corpus_id" UUID NOT NULL,
    "title" TEXT NOT NULL,
    "heading" TEXT NOT NULL,
    "text" TEXT NOT NULL,

    CONSTRAINT "passage_pkey" PRIMARY KEY ("article_id","index")
);

-- CreateTable
CREATE TABLE "conversation" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "agent_id" UUID NOT NULL,
    "contact_id" UUID,
    "inbox_id" UUID,
    "version" INTEGER NOT NULL DEFAULT 0,
    "status" "ConversationStatus" NOT NULL DEFAULT 'ACTIVE',
    "title" TEXT,
    "playbook" TEXT,
    "phase" TEXT,
    "system_message" TEXT,
    "context" JSONB,
    "system_prompt" TEXT,
    "corpus_id" UUID,
    "runtime_parameters" JSONB NOT NULL DEFAULT '{}',
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "next_position" INTEGER NOT NULL DEFAULT 0,
    "message_count" INTEGER NOT NULL DEFAULT 0,
    "last_message_id" UUID,
    "generating_message_id" UUID,
    "generating_server_id" UUID,
    "generating_version" INTEGER,
    "handoff_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "conversation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "handoff" (
    "id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "started_version" INTEGER NOT NULL,
    "reason" TEXT,
    "queue" TEXT,
    "assignee" TEXT,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "accepted_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "handoff_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "message" (
    "id" UUID NOT NULL,
    "conversation_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "position" INTEGER NOT NULL,
    "role" "MessageRole" NOT NULL,
    "author" JSONB NOT NULL,
    "status" "MessageStatus" NOT NULL,
    "created_version" INTEGER NOT NULL,
    "in_reply_to_id" UUID,
    "supersedes_id" UUID,
    "error_detail" TEXT,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "content_payload" JSONB,
    "query_metadata" JSONB,
    "canvas" JSONB,
    "state_after" JSONB,
    "runtime_parameters" JSONB,
    "input_tokens" INTEGER,
    "output_tokens" INTEGER,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(3),

    CONSTRAINT "message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "fragment" (
    "message_id" UUID NOT NULL,
    "index" INTEGER NOT NULL,
    "kind" "FragmentKind" NOT NULL,
    "status" "FragmentStatus" NOT NULL,
    "text" TEXT NOT NULL DEFAULT '',
    "units" INTEGER NOT NULL DEFAULT 0,
    "name" TEXT,
    "args" JSONB,
    "call_index" INTEGER,
    "response" JSONB,
    "failed" BOOLEAN NOT NULL DEFAULT false,
    "metadata" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "fragment_pkey" PRIMARY KEY ("message_id","index")
);

-- CreateTable
CREATE TABLE "chunk" (
    "message_id" UUID NOT NULL,
    "fragment_index" INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    "units" INTEGER NOT NULL,
    "text" TEXT NOT NULL,

    CONSTRAINT "chunk_pkey" PRIMARY KEY ("message_id","fragment_index","offset")
);

-- CreateTable
CREATE TABLE "event" (
    "conversation_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "organization_id" UUID NOT NULL,
    "type" "EventType" NOT NULL,
    "message_id" UUID,
    "handoff_id" UUID,
    "actor" JSONB NOT NULL,
    "data" JSONB,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "event_pkey" PRIMARY KEY ("conversation_id","version")
);

-- CreateTable
CREATE TABLE "idempotency" (
    "organization_id" UUID NOT NULL,
    "caller" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "input_hash" TEXT NOT NULL,
    "conversation_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "message_id" UUID,
    "reply_id" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_pkey" PRIMARY KEY ("organization_id","caller","key")
);

-- CreateTable
CREATE TABLE "server" (
    "id" UUID NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "server_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "api_key_secret_hash_key" ON "api_key"("secret_hash");

-- CreateIndex
CREATE INDEX "api_key_organization_id_idx" ON "api_key"("organization_id");

-- CreateIndex
CREATE INDEX "agent_organization_id_name_id_idx" ON "agent"("organization_id", "name", "id");

-- CreateIndex
CREATE INDEX "agent_corpus_id_idx" ON "agent"("corpus_id");

-- CreateIndex
CREATE UNIQUE INDEX "contact_organization_id_external_id_key" ON "contact"("organization_id", "external_id");

-- CreateIndex
CREATE INDEX "inbox_organization_id_idx" ON "inbox"("organization_id");

-- CreateIndex
CREATE INDEX "inbox_agent_id_idx" ON "inbox"("agent_id");

-- CreateIndex
CREATE INDEX "corpus_organization_id_idx" ON "corpus"("organization_id");

-- CreateIndex
CREATE UNIQUE INDEX "article_corpus_id_slug_key" ON "article"("corpus_id", "slug");

-- CreateIndex
CREATE INDEX "passage_corpus_id_idx" ON "passage"("corpus_id");

-- CreateIndex
CREATE INDEX "conversation_organization_id_updated_at_id_idx" ON "conversation"("organization_id", "updated_at", "id");

-- CreateIndex
CREATE INDEX "conversation_organization_id_created_at_id_idx" ON "conversation"("organization_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "conversation_agent_id_idx" ON "conversation"("agent_id");

-- CreateIndex
CREATE INDEX "conversation_contact_id_idx" ON "conversation"("contact_id");

-- CreateIndex
CREATE INDEX "conversation_generating_server_id_idx" ON "conversation"("generating_server_id");

-- CreateIndex
CREATE UNIQUE INDEX "handoff_conversation_id_started_version_key" ON "handoff"("conversation_id", "started_version");

-- CreateIndex
CREATE UNIQUE INDEX "message_supersedes_id_key" ON "message"("supersedes_id");

-- CreateIndex
CREATE UNIQUE INDEX "message_conversation_id_position_key" ON "message"("conversation_id", "position");

-- CreateIndex
CREATE UNIQUE INDEX "event_seq_key" ON "event"("seq");

-- CreateIndex
CREATE INDEX "idempotency_created_at_idx" ON "idempotency"("created_at");

-- CreateIndex
CREATE INDEX "idempotency_conversation_id_idx" ON "idempotency"("conversation_id");

-- CreateIndex
CREATE INDEX "server_expires_at_idx" ON "server"("expires_at");

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agent" ADD CONSTRAINT "agent_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agent" ADD CONSTRAINT "agent_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "contact" ADD CONSTRAINT "contact_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "inbox" ADD CONSTRAINT "inbox_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "inbox" ADD CONSTRAINT "inbox_agent_id_fkey" FOREIGN KEY ("agent_id") REFERENCES "agent"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "corpus" ADD CONSTRAINT "corpus_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "article" ADD CONSTRAINT "article_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "passage" ADD CONSTRAINT "passage_article_id_fkey" FOREIGN KEY ("article_id") REFERENCES "article"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_agent_id_fkey" FOREIGN KEY ("agent_id") REFERENCES "agent"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_contact_id_fkey" FOREIGN KEY ("contact_id") REFERENCES "contact"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_inbox_id_fkey" FOREIGN KEY ("inbox_id") REFERENCES "inbox"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_corpus_id_fkey" FOREIGN KEY ("corpus_id") REFERENCES "corpus"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "handoff" ADD CONSTRAINT "handoff_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversation"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "message" ADD CONSTRAINT "message_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversation"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "message" ADD CONSTRAINT "message_supersedes_id_fkey" FOREIGN KEY ("supersedes_id") REFERENCES "message"("id") ON DELETE NO ACTION ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "fragment" ADD CONSTRAINT "fragment_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "message"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "chunk" ADD CONSTRAINT "chunk_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "message"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The full-text index of passages. By hand: Prisma has no word for an index over an expression, and leaves it alone.
CREATE INDEX "passage_search_idx" ON "passage" USING GIN ((
  setweight(to_tsvector('english'::regconfig, "title" || ' ' || "heading"), 'A')
  || setweight(to_tsvector('english'::regconfig, "text"), 'B')
));

-- The words of a text, for the keyword of lists. Languages written without spaces are taken character by character, so that a
-- word is a phrase of them. A longer text would not fit a tsvector.
CREATE FUNCTION "list_words"(text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT to_tsvector('simple'::regconfig, regexp_replace(left($1, 100000), '([\u2E80-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF])', ' \1 ', 'g'))
$$;
CREATE FUNCTION "list_phrase"(text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT phraseto_tsquery('simple'::regconfig, regexp_replace($1, '([\u2E80-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF])', ' \1 ', 'g'))
$$;
CREATE INDEX "fragment_text_idx" ON "fragment" USING GIN ("list_words"("text"));
CREATE INDEX "conversation_title_idx" ON "conversation" USING GIN ("list_words"(coalesce("title", '')));
