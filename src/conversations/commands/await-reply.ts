import type { Caller } from '../../access/caller.ts';
import { apart } from '../../work-clock.ts';
import type { Committed } from '../log/commit.ts';
import { readRows } from '../log/rows.ts';
import type { ConversationServices } from '../services.ts';
import { eventsOf, replyStream } from '../stream/stream.ts';

/** How long a command waits for its reply, in milliseconds. */
export const AWAIT_REPLY_MS = 60_000;

/**
 * Resolves when the reply has ended, after a minute, or with an error if the caller's credential is no longer valid. It
 * follows the log, so it works for a reply on any server.
 */
export async function awaitReply(
  services: Pick<ConversationServices, 'feedRegistry' | 'pool' | 'watchCaller'>,
  caller: Caller,
  conversationId: string,
  replyId: string,
  timeoutMs = AWAIT_REPLY_MS,
): Promise<Error | null> {
  const { rows } = await services.pool.query<{ createdVersion: number }>({
    name: 'reply-version',
    text: 'SELECT created_version AS "createdVersion" FROM message WHERE id = $1',
    values: [replyId],
  });
  const held = rows[0] && (await services.feedRegistry.acquire(conversationId));
  if (!held || !rows[0]) return null;
  const reply = { id: replyId, createdVersion: rows[0].createdVersion };
  const events = eventsOf(await replyStream(held.feed, reply, null));
  const timer = setTimeout(() => void events.return?.(), timeoutMs);
  let refusal: Error | null = null;
  const unwatch = services.watchCaller(caller, (error) => {
    refusal = error;
    void events.return?.();
  });
  try {
    // The command has committed already, so waiting does not count as its work.
    await apart(async () => {
      for await (const _event of events);
    });
  } finally {
    unwatch();
    clearTimeout(timer);
    held.release();
  }
  return refusal;
}

/**
 * Adds the rows as they are after the reply has ended. If waiting or reading fails, keeps them as the change left them. Rejects
 * if the caller's credential is no longer valid.
 */
export async function withEndedReply(
  services: ConversationServices,
  caller: Caller,
  committed: Committed,
): Promise<Committed> {
  const { conversationId, messageId, replyId } = committed;
  if (replyId === null) return committed;
  const inAnyCase = (error: unknown) => {
    services.logger.warn({ err: error, conversationId, replyId }, 'could not wait for a reply');
    return null;
  };
  const refusal = await awaitReply(services, caller, conversationId, replyId).catch(inAnyCase);
  if (refusal) throw refusal;
  const rows = await readRows(services.pool, { conversationId, messageId, replyId }).catch(inAnyCase);
  return rows ? { ...committed, rows } : committed;
}
