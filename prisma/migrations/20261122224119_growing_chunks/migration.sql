-- A chunk grows at its front: see src/generation/checkpoints.ts.
ALTER TABLE "chunk" RENAME COLUMN "text" TO "reversed";
UPDATE "chunk" SET "reversed" = reverse("reversed");

-- Leaves room in each page for the next versions of its rows.
ALTER TABLE "chunk" SET (fillfactor = 50);
