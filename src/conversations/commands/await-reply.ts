import type { Caller } from '../../access/caller.ts';
import type { ConversationServices } from '../services.ts';
import { replyStream } from '../stream/stream.ts';

/** How long a command waits for its reply, in milliseconds. */
export const AWAIT_REPLY_MS = 60_000;

/**
 * Resolves when the reply has ended, or after a minute; rejects when the caller is not to be served any more. It follows the
 * log, so it works for a reply on any server.
 */
export async function awaitReply(
  services: Pick<ConversationServices, 'feedRegistry' | 'pool' | 'watchCaller'>,
  caller: Caller,
  conversationId: string,
  replyId: string,
  timeoutMs = AWAIT_REPLY_MS,
): Promise<void> {
  const { rows } = await services.pool.query<{ createdVersion: number }>({
    name: 'reply-version',
    text: 'SELECT created_version AS "createdVersion" FROM message WHERE id = $1',
    values: [replyId],
  });
  const held = rows[0] && (await services.feedRegistry.acquire(conversationId));
  if (!held || !rows[0]) return;
  const events = await replyStream(held.feed, { id: replyId, createdVersion: rows[0].createdVersion }, null);
  const timer = setTimeout(() => void events.return?.(), timeoutMs);
  let refusal: Error | undefined;
  const unwatch = services.watchCaller(caller, (error) => {
    refusal = error;
    void events.return?.();
  });
  try {
    for await (const _event of events);
  } finally {
    unwatch();
    clearTimeout(timer);
    held.release();
  }
  if (refusal) throw refusal;
}
