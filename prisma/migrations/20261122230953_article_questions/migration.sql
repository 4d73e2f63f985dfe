-- AlterTable
ALTER TABLE "article" ADD COLUMN     "questions" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- AlterTable
ALTER TABLE "passage" ADD COLUMN     "question" BOOLEAN NOT NULL DEFAULT false;

