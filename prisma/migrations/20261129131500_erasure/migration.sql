-- CreateEnum
CREATE TYPE "ErasureStatus" AS ENUM ('PENDING', 'ERASED', 'NOT_FOUND');

-- AlterEnum
ALTER TYPE "EventType" ADD VALUE 'MessageErased';

-- AlterEnum
ALTER TYPE "JobKind" ADD VALUE 'ERASURE';

-- AlterTable
ALTER TABLE "contact" ADD COLUMN     "erasing_since" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "message" ADD COLUMN     "erased_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "organization" ADD COLUMN     "attachment_days" INTEGER,
ADD COLUMN     "conversation_days" INTEGER;

-- AlterTable
ALTER TABLE "unanswered_question" ADD COLUMN     "message_id" UUID;

-- AlterTable
ALTER TABLE "webhook_delivery" ADD COLUMN     "discarded" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "erasure_target" (
    "job_id" UUID NOT NULL,
    "index" INTEGER NOT NULL,
    "organization_id" UUID NOT NULL,
    "reference_index" INTEGER NOT NULL,
    "contact_id" UUID,
    "status" "ErasureStatus" NOT NULL,
    "conversations" INTEGER NOT NULL DEFAULT 0,
    "messages" INTEGER NOT NULL DEFAULT 0,
    "attachments" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "erasure_target_pkey" PRIMARY KEY ("job_id","index")
);

-- CreateIndex
CREATE INDEX "erasure_target_organization_id_idx" ON "erasure_target"("organization_id");

-- CreateIndex
CREATE INDEX "erasure_target_contact_id_idx" ON "erasure_target"("contact_id");

-- CreateIndex
CREATE INDEX "unanswered_question_message_id_idx" ON "unanswered_question"("message_id");

-- AddForeignKey
ALTER TABLE "erasure_target" ADD CONSTRAINT "erasure_target_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "erasure_target" ADD CONSTRAINT "erasure_target_job_id_fkey" FOREIGN KEY ("organization_id", "job_id") REFERENCES "job"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What somebody has written in the conversations of others, and what an operator has written in their name.
CREATE INDEX "message_author_contact_idx" ON "message" (("author"->>'contactId')) WHERE ("author"->>'contactId') IS NOT NULL;
CREATE INDEX "message_author_external_idx" ON "message" ("organization_id", ("author"->>'externalId'))
  WHERE "author"->>'kind' = 'END_USER' AND ("author"->>'contactId') IS NULL AND ("author"->>'externalId') IS NOT NULL;
