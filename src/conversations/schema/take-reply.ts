import type { GraphQLContext } from '../../graphql/context.ts';
import { rateLimited } from '../../graphql/errors.ts';

/**
 * Counts one more reply for this person, in a conversation by its row id. Throws `RATE_LIMITED` when they have no reply left for
 * now.
 */
export async function takeReply({ services, viewer }: GraphQLContext, conversationId: string | null): Promise<void> {
  const refusal = conversationId && (await services.replyLimits.take(viewer, conversationId));
  if (refusal) throw rateLimited(refusal.message, refusal.retryAfter);
}
