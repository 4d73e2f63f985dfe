-- A webhook that was deleted is hidden until its deliveries have been removed bit by bit.
ALTER TABLE "webhook" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);
