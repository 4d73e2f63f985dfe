import type { Caller } from '../../access/caller.ts';
import { apart } from '../../work-clock.ts';
import type { Committed } from '../log/commit.ts';
import { readRows } from '../log/rows.ts';
import type { ConversationServices } from '../services.ts';
import type { Feed } from '../stream/feed.ts';

/** How long a command waits for its reply, in milliseconds. */
export const AWAIT_REPLY_MS = 60_000;

/** A reply that had begun at this version of its conversation, or before. */
export interface BegunReply {
  conversationId: string;
  version: number;
  replyId: string;
}

/**
 * Resolves when the reply has ended, after a minute, or with an error if the caller's credential is no longer valid. It
 * follows the log, so it works for a reply on any server.
 */
export async function awaitReply(
  services: Pick<ConversationServices, 'feedRegistry' | 'watchCaller'>,
  caller: Caller,
  reply: BegunReply,
  timeoutMs = AWAIT_REPLY_MS,
): Promise<Error | null> {
  const held = await services.feedRegistry.acquire(reply.conversationId);
  if (!held) return null;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutMs);
  let refusal: Error | null = null;
  const unwatch = services.watchCaller(caller, (error) => {
    refusal = error;
    stop.abort();
  });
  try {
    // The command has committed already, so waiting does not count as its work.
    await apart(() => ended(held.feed, reply, stop.signal));
  } finally {
    unwatch();
    clearTimeout(timer);
    held.release();
  }
  return refusal;
}

/** Resolves when the reply has ended, or the signal aborts. A conversation has one reply at a time, and never the same one twice. */
async function ended(feed: Feed, { version, replyId }: BegunReply, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { revision } = feed;
    if (feed.failure) throw feed.failure;
    if (feed.closed || feed.deleted || signal.aborted) return;
    if (feed.version >= version && feed.running?.messageId !== replyId) return;
    await feed.changedSince(revision, signal);
  }
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
  const { conversationId, version, messageId, replyId } = committed;
  if (replyId === null) return committed;
  const inAnyCase = (error: unknown) => {
    services.logger.warn({ err: error, conversationId, replyId }, 'could not wait for a reply');
    return null;
  };
  const refusal = await awaitReply(services, caller, { conversationId, version, replyId }).catch(inAnyCase);
  if (refusal) throw refusal;
  const rows = await readRows(services.pool, { conversationId, messageId, replyId }).catch(inAnyCase);
  return rows ? { ...committed, rows } : committed;
}
