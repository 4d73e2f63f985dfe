-- AlterTable
ALTER TABLE "agent" ADD COLUMN     "tools" JSONB NOT NULL DEFAULT '[]';

