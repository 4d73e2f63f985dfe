-- Up to where somebody has read a conversation: "contact", or another person by their id.
CREATE TABLE "read_mark" (
  "conversation_id" UUID NOT NULL,
  "reader" TEXT NOT NULL,
  "position" INTEGER NOT NULL,
  CONSTRAINT "read_mark_pkey" PRIMARY KEY ("conversation_id", "reader"),
  CONSTRAINT "read_mark_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversation"("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);
