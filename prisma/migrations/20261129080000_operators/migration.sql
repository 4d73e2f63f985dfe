-- Humans who answer. A credential of an operator holds the generation that it was issued in; raising the number ends all of them.
CREATE TYPE "OperatorRole" AS ENUM ('AGENT', 'ADMIN');
CREATE TYPE "Availability" AS ENUM ('ONLINE', 'AWAY', 'OFFLINE');

CREATE TABLE "operator" (
  "id" UUID NOT NULL,
  "organization_id" UUID NOT NULL,
  "name" TEXT NOT NULL,
  "email" TEXT,
  "avatar_url" TEXT,
  "role" "OperatorRole" NOT NULL DEFAULT 'AGENT',
  "availability" "Availability" NOT NULL DEFAULT 'OFFLINE',
  "suspended_at" TIMESTAMPTZ(3),
  "token_generation" INTEGER NOT NULL DEFAULT 0,
  "identity_issuer" TEXT,
  "identity_subject" TEXT,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "operator_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "operator_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE UNIQUE INDEX "operator_organization_id_id_key" ON "operator"("organization_id", "id");
CREATE INDEX "operator_organization_id_created_at_id_idx" ON "operator"("organization_id", "created_at", "id");
CREATE UNIQUE INDEX "operator_identity_key" ON "operator"("organization_id", "identity_issuer", "identity_subject");
-- An address names one operator, in upper or lower case.
CREATE UNIQUE INDEX "operator_email_key" ON "operator"("organization_id", lower("email"));

-- Who has taken a handoff. A row never passes from one operator to another: a handoff that is passed on ends, and another begins.
ALTER TABLE "handoff" ADD COLUMN "operator_id" UUID;
ALTER TABLE "handoff" ADD CONSTRAINT "handoff_operator_id_fkey"
  FOREIGN KEY ("organization_id", "operator_id") REFERENCES "operator"("organization_id", "id")
  ON DELETE SET NULL ("operator_id") ON UPDATE CASCADE;
CREATE INDEX "handoff_operator_id_idx" ON "handoff"("organization_id", "operator_id") WHERE "operator_id" IS NOT NULL;

-- What waits, in the order of waiting.
CREATE INDEX "handoff_waiting_idx" ON "handoff"("organization_id", "started_at", "conversation_id")
  WHERE "accepted_at" IS NULL AND "ended_at" IS NULL;
