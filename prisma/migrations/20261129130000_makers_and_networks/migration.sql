-- The operators who stand behind a key or a webhook: it falls with any of them.
ALTER TABLE "api_key" ADD COLUMN "made_by" UUID[] NOT NULL DEFAULT '{}';
ALTER TABLE "webhook" ADD COLUMN "made_by" UUID[] NOT NULL DEFAULT '{}';

-- The network that the last visit of an anonymous visitor came from, to count the replies that run for all of them together.
ALTER TABLE "contact" ADD COLUMN "network" TEXT;
