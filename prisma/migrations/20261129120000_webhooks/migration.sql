-- Endpoints that are sent the log. A webhook is sent what is committed after the snapshot `since` was taken.
CREATE TYPE "WebhookStatus" AS ENUM ('ON', 'OFF');
CREATE TYPE "DeliveryStatus" AS ENUM ('PENDING', 'DELIVERED', 'FAILED');

CREATE TABLE "webhook" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "events" TEXT[] NOT NULL DEFAULT '{}',
    "selection" TEXT NOT NULL,
    "key_id" UUID,
    "status" "WebhookStatus" NOT NULL DEFAULT 'ON',
    "disabled_reason" TEXT,
    "disabled_at" TIMESTAMPTZ(3),
    "failing_since" TIMESTAMPTZ(3),
    "since" TEXT NOT NULL DEFAULT pg_current_snapshot()::text,
    "since_epoch" INTEGER NOT NULL DEFAULT current_epoch(),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "webhook_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "webhook_organization_id_fkey" FOREIGN KEY ("organization_id") REFERENCES "organization"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "webhook_organization_id_id_key" ON "webhook"("organization_id", "id");
CREATE INDEX "webhook_organization_id_created_at_id_idx" ON "webhook"("organization_id", "created_at", "id");

CREATE TABLE "webhook_secret" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "webhook_id" UUID NOT NULL,
    "secret" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),
    "expires_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_secret_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "webhook_secret_webhook_id_fkey" FOREIGN KEY ("organization_id", "webhook_id") REFERENCES "webhook"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "webhook_secret_webhook_id_idx" ON "webhook_secret"("webhook_id");

-- The lanes of a webhook: each carries the events of some conversations, one at a time. `owner` is the server that works on it.
CREATE TABLE "webhook_lane" (
    "webhook_id" UUID NOT NULL,
    "lane" INTEGER NOT NULL,
    "organization_id" UUID NOT NULL,
    "due_at" TIMESTAMPTZ(3),
    "wakes" BIGINT NOT NULL DEFAULT 0,
    "owner" UUID,
    "served_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "webhook_lane_pkey" PRIMARY KEY ("webhook_id", "lane"),
    CONSTRAINT "webhook_lane_webhook_id_fkey" FOREIGN KEY ("organization_id", "webhook_id") REFERENCES "webhook"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "webhook_lane_due_at_idx" ON "webhook_lane"("due_at");

CREATE TABLE "webhook_delivery" (
    "id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "webhook_id" UUID NOT NULL,
    "lane" INTEGER NOT NULL,
    "place" BIGSERIAL NOT NULL,
    "event" TEXT NOT NULL,
    "conversation_id" UUID,
    "seq" BIGINT,
    "position" TEXT,
    "status" "DeliveryStatus" NOT NULL DEFAULT 'PENDING',
    "tries" INTEGER NOT NULL DEFAULT 0,
    "attempts" JSONB NOT NULL DEFAULT '[]',
    "due_at" TIMESTAMPTZ(3),
    "payload" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

    CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "webhook_delivery_webhook_id_fkey" FOREIGN KEY ("organization_id", "webhook_id") REFERENCES "webhook"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "webhook_delivery_webhook_id_id_idx" ON "webhook_delivery"("webhook_id", "id");
CREATE INDEX "webhook_delivery_webhook_id_status_id_idx" ON "webhook_delivery"("webhook_id", "status", "id");
CREATE INDEX "webhook_delivery_first_idx" ON "webhook_delivery"("webhook_id", "lane", "place") WHERE "status" = 'PENDING' AND "tries" = 0;
CREATE INDEX "webhook_delivery_again_idx" ON "webhook_delivery"("webhook_id", "lane", "due_at") WHERE "status" = 'PENDING' AND "tries" > 0;
CREATE INDEX "webhook_delivery_conversation_id_idx" ON "webhook_delivery"("conversation_id");

-- How far the log has become deliveries, in one row. `beat` changes with it: whoever moves it names the one it knows.
CREATE TABLE "webhook_tail" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "epoch" INTEGER NOT NULL,
    "told" TEXT NOT NULL,
    "telling" TEXT,
    "seq" BIGINT NOT NULL DEFAULT 0,
    "owner" UUID,
    "beat" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "webhook_tail_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "webhook_tail_one_row" CHECK ("id")
);
INSERT INTO "webhook_tail" ("epoch", "told") VALUES (current_epoch(), pg_current_snapshot()::text);

-- What a webhook is sent once more: from a position up to the snapshot `until`.
CREATE TABLE "webhook_replay" (
    "webhook_id" UUID NOT NULL,
    "organization_id" UUID NOT NULL,
    "epoch" INTEGER NOT NULL,
    "told" TEXT NOT NULL,
    "telling" TEXT,
    "seq" BIGINT NOT NULL,
    "since" TIMESTAMPTZ(3),
    "until" TEXT NOT NULL,
    "until_epoch" INTEGER NOT NULL,
    "beat" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "webhook_replay_pkey" PRIMARY KEY ("webhook_id"),
    CONSTRAINT "webhook_replay_webhook_id_fkey" FOREIGN KEY ("organization_id", "webhook_id") REFERENCES "webhook"("organization_id", "id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "webhook_replay_organization_id_webhook_id_key" ON "webhook_replay"("organization_id", "webhook_id");
