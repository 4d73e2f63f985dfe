-- What a client calls its own message, and whose credential it was: nobody else is told.
ALTER TABLE "message" ADD COLUMN "client_id" TEXT;
ALTER TABLE "message" ADD COLUMN "client_id_of" TEXT;
