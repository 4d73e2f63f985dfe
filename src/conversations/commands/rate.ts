import { type Caller, participantOf } from '../../access/caller.ts';
import { finders, theOne } from '../../access/finders.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import type { Rating } from '../../generated/prisma/enums.ts';
import { decodeId } from '../../ids.ts';
import { type Committed, commitUnderLock } from '../log/commit.ts';
import { logEvents } from '../log/log-events.ts';
import { transitions } from '../log/transitions.ts';
import type { ConversationServices } from '../services.ts';
import { InputReader } from './input.ts';

export interface RateReplyInput {
  replyId: string;
  /** Null takes the rating back. */
  rating?: Rating | null | undefined;
  comment?: string | null | undefined;
}

/** Rates a reply that has ended, in place of an earlier rating. The same again does nothing. */
export async function rateReply(
  services: ConversationServices,
  caller: Caller,
  input: RateReplyInput,
): Promise<Committed> {
  const replyId = decodeId('Message', input.replyId);
  const reply = replyId && (await theOne(finders.Message({ services, viewer: caller }, [replyId])));
  if (!replyId || !reply) throw new NotFoundError(['replyId']);
  const reader = new InputReader();
  const rating = input.rating ?? null;
  const comment = reader.text(['comment'], input.comment) ?? null;
  if (rating === null && comment !== null) reader.refuse(['comment'], 'Goes with a rating.');
  reader.finish();
  // A message that has ended stays so: reading it before the write is safe.
  if (reply.role !== 'AGENT' || reply.status === 'IN_PROGRESS') {
    const detail = 'Names a message that is not a reply, or one that has not ended.';
    throw new InvalidInputError([{ path: ['replyId'], detail }]);
  }
  const { organizationId, actor } = caller;
  const { conversationId } = reply;
  const rule = transitions.rateReply;
  const target = { conversationId, organizationId, actor, rule, participant: participantOf(caller) };
  return commitUnderLock(
    services,
    target,
    async (db) => {
      const { rowCount } =
        rating === null
          ? await db.query('DELETE FROM feedback WHERE message_id = $1', [replyId])
          : await db.query(rateSql, [replyId, rating, comment]);
      if (rowCount) await logEvents(db, target, [{ type: 'FeedbackGiven', messageId: replyId, data: { rating } }]);
    },
    { replyId },
  );
}

const rateSql = /* sql */ `
INSERT INTO feedback (message_id, rating, comment) VALUES ($1, $2, $3)
ON CONFLICT (message_id) DO UPDATE SET rating = excluded.rating, comment = excluded.comment, created_at = now()
WHERE (feedback.rating, feedback.comment) IS DISTINCT FROM (excluded.rating, excluded.comment)`;
