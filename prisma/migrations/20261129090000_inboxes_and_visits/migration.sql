-- The kinds of channel that programs serve. Servers of the release before do not know them, so nothing uses them yet.
ALTER TYPE "InboxChannel" ADD VALUE 'MESSAGING';
ALTER TYPE "InboxChannel" ADD VALUE 'SMS';
ALTER TYPE "InboxChannel" ADD VALUE 'VOICE';

ALTER TABLE "inbox" ADD COLUMN "public_key" TEXT,
ADD COLUMN "secret" TEXT,
ADD COLUMN "allowed_origins" TEXT[] NOT NULL DEFAULT '{}',
ADD COLUMN "allows_anonymous" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN "address" TEXT,
ADD COLUMN "time_zone" TEXT,
ADD COLUMN "hours" JSONB,
ADD COLUMN "away_message" TEXT,
ADD COLUMN "metadata" JSONB NOT NULL DEFAULT '{}';
CREATE UNIQUE INDEX "inbox_public_key_key" ON "inbox"("public_key");
CREATE UNIQUE INDEX "inbox_address_key" ON "inbox"("organization_id", lower("address"));
CREATE INDEX "inbox_organization_id_name_id_idx" ON "inbox"("organization_id", "name", "id");
-- Whether pages of an origin may use any web chat.
CREATE INDEX "inbox_allowed_origins_idx" ON "inbox" USING GIN ("allowed_origins") WHERE "public_key" IS NOT NULL;
CREATE INDEX "inbox_any_origin_idx" ON "inbox"("id") WHERE "public_key" IS NOT NULL AND "allowed_origins" = '{}';

-- The inboxes from before get their keys. Their identity secret is made when somebody asks for one.
UPDATE "inbox" SET "public_key" = 'web_' || replace(gen_random_uuid()::text, '-', '') WHERE "channel" = 'WEB_CHAT';

CREATE INDEX "conversation_inbox_id_idx" ON "conversation"("inbox_id") WHERE "inbox_id" IS NOT NULL;

-- Who visits without a name: a browser's secret, and when to forget who has not written.
ALTER TABLE "contact" ADD COLUMN "visitor_hash" TEXT,
ADD COLUMN "last_seen_at" TIMESTAMPTZ(3),
ADD COLUMN "forget_after" TIMESTAMPTZ(3);
CREATE UNIQUE INDEX "contact_visitor_hash_key" ON "contact"("visitor_hash");
CREATE INDEX "contact_forget_after_idx" ON "contact"("forget_after") WHERE "forget_after" IS NOT NULL;
