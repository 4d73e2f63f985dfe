-- What is counted here is worth a minute at most, so it needs no log of its own.
-- CreateTable
CREATE UNLOGGED TABLE "rate_window" (
    "key" TEXT NOT NULL,
    "spent" INTEGER NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "rate_window_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE INDEX "rate_window_ends_at_idx" ON "rate_window"("ends_at");
