-- CreateTable
CREATE TABLE "bus_key" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "key" TEXT NOT NULL,

    CONSTRAINT "bus_key_pkey" PRIMARY KEY ("id")
);

