-- Deleted conversations whose deliveries are removed bit by bit, so that no statement grows with their number.
CREATE TABLE "webhook_erasure" (
    "conversation_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,

    CONSTRAINT "webhook_erasure_pkey" PRIMARY KEY ("conversation_id"),
    CONSTRAINT "webhook_erasure_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "webhook_erasure_organization_id_idx" ON "webhook_erasure"("organization_id");
