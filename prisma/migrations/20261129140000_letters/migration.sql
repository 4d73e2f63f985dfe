-- Whom only letters tell of: one contact for the letters that the sender's domain vouches for, and one for the others.
ALTER TABLE "contact" ADD COLUMN "letter_address" TEXT, ADD COLUMN "letter_verified" BOOLEAN NOT NULL DEFAULT false;
CREATE UNIQUE INDEX "contact_letter_address_key" ON "contact"("organization_id", "letter_address", "letter_verified");

-- A web chat goes on by an email inbox.
ALTER TABLE "inbox" ADD COLUMN "email_inbox_id" UUID;
CREATE INDEX "inbox_email_inbox_id_idx" ON "inbox"("email_inbox_id");
ALTER TABLE "inbox" ADD CONSTRAINT "inbox_email_inbox_id_fkey" FOREIGN KEY ("organization_id", "email_inbox_id")
  REFERENCES "inbox"("organization_id", "id") ON DELETE SET NULL ("email_inbox_id") ON UPDATE CASCADE;

CREATE TABLE "letter_secret" (
    "hash" TEXT NOT NULL,
    "organization_id" UUID NOT NULL,
    "inbox_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "letter_secret_pkey" PRIMARY KEY ("hash"),
    CONSTRAINT "letter_secret_inbox_id_fkey" FOREIGN KEY ("organization_id", "inbox_id")
      REFERENCES "inbox"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "letter_secret_inbox_id_idx" ON "letter_secret"("inbox_id");

CREATE TYPE "LetterDirection" AS ENUM ('IN', 'OUT');
CREATE TYPE "LetterStatus" AS ENUM ('WAITING', 'DONE', 'DROPPED', 'FAILED', 'BOUNCED');

CREATE TABLE "letter" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "inbox_id" UUID,
    "conversation_id" UUID,
    "message_id" UUID,
    "direction" "LetterDirection" NOT NULL,
    "status" "LetterStatus" NOT NULL DEFAULT 'WAITING',
    "key" TEXT NOT NULL,
    "mail_id" TEXT,
    "sender" TEXT,
    "recipient" TEXT,
    "subject" TEXT,
    "whole_text" TEXT,
    "verified" BOOLEAN NOT NULL DEFAULT false,
    "automatic" TEXT,
    "detail" TEXT,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "done_at" TIMESTAMPTZ(3),

    CONSTRAINT "letter_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "letter_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "letter_inbox_id_fkey" FOREIGN KEY ("organization_id", "inbox_id")
      REFERENCES "inbox"("organization_id", "id") ON DELETE SET NULL ("inbox_id") ON UPDATE CASCADE,
    CONSTRAINT "letter_conversation_id_fkey" FOREIGN KEY ("organization_id", "conversation_id")
      REFERENCES "conversation"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "letter_organization_id_id_key" ON "letter"("organization_id", "id");
CREATE UNIQUE INDEX "letter_organization_id_key_key" ON "letter"("organization_id", "key");
CREATE INDEX "letter_organization_id_status_id_idx" ON "letter"("organization_id", "status", "id");
CREATE INDEX "letter_inbox_id_idx" ON "letter"("inbox_id");
CREATE INDEX "letter_conversation_id_id_idx" ON "letter"("conversation_id", "id");
CREATE INDEX "letter_message_id_idx" ON "letter"("message_id");

CREATE TABLE "letter_source" (
    "letter_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "raw" BYTEA NOT NULL,

    CONSTRAINT "letter_source_pkey" PRIMARY KEY ("letter_id"),
    CONSTRAINT "letter_source_letter_id_fkey" FOREIGN KEY ("organization_id", "letter_id")
      REFERENCES "letter"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "letter_source_organization_id_letter_id_key" ON "letter_source"("organization_id", "letter_id");

CREATE TABLE "letter_allowance" (
    "organization_id" UUID NOT NULL,
    "address" TEXT NOT NULL,
    "times" TIMESTAMPTZ(3)[],

    CONSTRAINT "letter_allowance_pkey" PRIMARY KEY ("organization_id", "address")
);

-- How far the log has become letters. It begins here: what was said before goes out by no letter.
CREATE TABLE "letter_tail" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "epoch" INTEGER NOT NULL,
    "told" TEXT NOT NULL,
    "telling" TEXT,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "owner" UUID,
    "beat" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "letter_tail_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "letter_tail_one_row" CHECK ("id")
);
INSERT INTO "letter_tail" ("epoch", "told") VALUES (current_epoch(), pg_current_snapshot()::text);
