-- The one row says which cluster the log lives in. It is changed when a server starts on another one.
CREATE TABLE "log_epoch" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "system_identifier" TEXT NOT NULL,
    "base" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "log_epoch_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "log_epoch_one_row" CHECK ("id")
);

INSERT INTO "log_epoch" ("system_identifier") SELECT "system_identifier"::text FROM pg_control_system();

-- Rises with each failover, which begins a timeline, and with each move to another cluster.
CREATE FUNCTION "current_epoch"() RETURNS INTEGER LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT base FROM log_epoch) + ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int;
END
$$;

-- Neither default is volatile when its column is added, so that the table is not rewritten: rows that exist are of epoch 0.
ALTER TABLE "event" ADD COLUMN "epoch" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "event" ADD COLUMN "xid" xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE "event" ALTER COLUMN "epoch" SET DEFAULT "current_epoch"();

-- Empty when it is made: rows of epoch 0 are read by `seq`.
CREATE INDEX "event_epoch_xid_seq_idx" ON "event"("epoch", "xid", "seq") WHERE "epoch" > 0;
