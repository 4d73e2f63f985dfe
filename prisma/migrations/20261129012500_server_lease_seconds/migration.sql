-- AlterTable
ALTER TABLE "server" ADD COLUMN     "lease_seconds" INTEGER;
