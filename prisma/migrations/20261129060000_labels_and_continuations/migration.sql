-- Words of the operators' own. Most conversations have none, so the index holds only those that do.
ALTER TABLE "conversation" ADD COLUMN "labels" TEXT[] NOT NULL DEFAULT '{}';
CREATE INDEX "conversation_labels_idx" ON "conversation" USING GIN ("labels") WHERE "labels" <> '{}';

-- The ended conversation that one goes on from.
ALTER TABLE "conversation" ADD COLUMN "continues_id" UUID;
ALTER TABLE "conversation" ADD CONSTRAINT "conversation_continues_id_fkey"
  FOREIGN KEY ("organization_id", "continues_id") REFERENCES "conversation"("organization_id", "id")
  ON DELETE SET NULL ("continues_id") ON UPDATE CASCADE;
CREATE INDEX "conversation_continues_id_idx" ON "conversation"("organization_id", "continues_id") WHERE "continues_id" IS NOT NULL;
