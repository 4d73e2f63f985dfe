-- CreateEnum
CREATE TYPE "AttachmentStatus" AS ENUM ('PENDING', 'READY');

-- CreateEnum
CREATE TYPE "AttachmentType" AS ENUM ('IMAGE', 'VIDEO', 'AUDIO', 'STICKER', 'OTHER');

-- CreateTable
CREATE TABLE "attachment" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "uploader" TEXT NOT NULL,
    "contact_id" UUID,
    "conversation_id" UUID,
    "message_id" UUID,
    "position" INTEGER NOT NULL DEFAULT 0,
    "place" INTEGER NOT NULL DEFAULT 0,
    "status" "AttachmentStatus" NOT NULL DEFAULT 'PENDING',
    "type" "AttachmentType" NOT NULL,
    "filename" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "content_type" TEXT,
    "width" INTEGER,
    "height" INTEGER,
    "secret" TEXT NOT NULL,
    "file_id" UUID,
    "shard" SMALLINT,
    "claimed_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ready_at" TIMESTAMPTZ(3),
    "named_at" TIMESTAMPTZ(3),
    "missing_since" TIMESTAMPTZ(3),
    "deleted_at" TIMESTAMPTZ(3),
    "erased_with" UUID,

    CONSTRAINT "attachment_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "attachment_organization_id_uploader_created_at_idx" ON "attachment"("organization_id", "uploader", "created_at");

-- CreateIndex
CREATE INDEX "attachment_conversation_id_position_place_idx" ON "attachment"("conversation_id", "position", "place");

-- CreateIndex
CREATE INDEX "attachment_message_id_idx" ON "attachment"("message_id");

-- CreateIndex
CREATE INDEX "attachment_contact_id_idx" ON "attachment"("contact_id");

-- CreateIndex
CREATE INDEX "attachment_shard_idx" ON "attachment"("shard");

-- AddForeignKey
ALTER TABLE "attachment" ADD CONSTRAINT "attachment_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attachment" ADD CONSTRAINT "attachment_contact_id_fkey" FOREIGN KEY ("organization_id", "contact_id") REFERENCES "contact"("organization_id", "id") ON DELETE SET NULL ("contact_id") ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attachment" ADD CONSTRAINT "attachment_conversation_id_fkey" FOREIGN KEY ("organization_id", "conversation_id") REFERENCES "conversation"("organization_id", "id") ON DELETE SET NULL ("conversation_id") ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attachment" ADD CONSTRAINT "attachment_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "message"("id") ON DELETE SET NULL ON UPDATE CASCADE;


-- What waits to be named: of one uploader, and by age.
CREATE INDEX "attachment_waiting_idx" ON "attachment"("organization_id", "uploader") WHERE "message_id" IS NULL AND "deleted_at" IS NULL;
CREATE INDEX "attachment_left_idx" ON "attachment"("created_at") WHERE "message_id" IS NULL AND "deleted_at" IS NULL;

-- What is to be removed.
CREATE INDEX "attachment_deleted_idx" ON "attachment"("id") WHERE "deleted_at" IS NOT NULL;
CREATE INDEX "attachment_erased_idx" ON "attachment"("erased_with", "id") WHERE "erased_with" IS NOT NULL;

-- What messages have named, by age.
CREATE INDEX "attachment_named_idx" ON "attachment"("organization_id", "named_at") WHERE "deleted_at" IS NULL AND "named_at" IS NOT NULL;
