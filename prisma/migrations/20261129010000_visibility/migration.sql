-- CreateEnum
CREATE TYPE "CallVisibility" AS ENUM ('HIDDEN', 'NAME', 'FULL');

-- AlterTable
ALTER TABLE "conversation" ADD COLUMN     "search_metadata" JSONB NOT NULL DEFAULT '{}';

-- What was called before, and what a server of the release before still calls, is hidden.
ALTER TABLE "fragment" ADD COLUMN     "visibility" "CallVisibility" NOT NULL DEFAULT 'HIDDEN';
