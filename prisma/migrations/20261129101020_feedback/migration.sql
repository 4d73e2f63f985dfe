ALTER TYPE "EventType" ADD VALUE 'FeedbackGiven';

CREATE TYPE "Rating" AS ENUM ('UP', 'DOWN');

-- How a reply was rated, last. A message itself never changes.
CREATE TABLE "feedback" (
  "message_id" UUID NOT NULL,
  "rating" "Rating" NOT NULL,
  "comment" TEXT,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "feedback_pkey" PRIMARY KEY ("message_id"),
  CONSTRAINT "feedback_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "message"("id") ON DELETE CASCADE ON UPDATE CASCADE
);
