import type { Caller } from '../../access/caller.ts';
import type { Committed } from '../log/commit.ts';
import { type Rows, readRows } from '../log/rows.ts';
import type { ConversationServices } from '../services.ts';
import type { Feed } from '../stream/feed.ts';

/** How long a command waits for its reply, in milliseconds. */
export const AWAIT_REPLY_MS = 60_000;

/** How long a reply is awaited where it runs, before its conversation is followed: that reads more, and tells of what others do. */
const SOON_MS = 1000;

/** A reply that had begun at this version of its conversation, or before. */
export interface BegunReply {
  conversationId: string;
  version: number;
  replyId: string;
}

type WaitingServices = Pick<ConversationServices, 'feedRegistry' | 'watchCaller' | 'clock'>;

/**
 * Resolves when the reply has ended, after a minute, or with an error if the caller's credential is no longer valid. It
 * follows the log, so it works for a reply on any server.
 */
export function awaitReply(
  services: WaitingServices,
  caller: Caller,
  reply: BegunReply,
  timeoutMs = AWAIT_REPLY_MS,
): Promise<Error | null> {
  return patiently(services, caller, timeoutMs, (signal) => endedAnywhere(services, reply, signal));
}

/** Does what waits until it is done, the time has passed, or the caller's credential is no longer valid, which is returned. */
async function patiently(
  services: WaitingServices,
  caller: Caller,
  timeoutMs: number,
  wait: (signal: AbortSignal) => Promise<void>,
): Promise<Error | null> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeoutMs);
  let refusal: Error | null = null;
  const unwatch = services.watchCaller(caller, (error) => {
    refusal = error;
    stop.abort();
  });
  try {
    // The command has committed already, so waiting does not count as its work.
    await services.clock.apart(() => wait(stop.signal));
  } finally {
    unwatch();
    clearTimeout(timer);
  }
  return refusal;
}

async function endedAnywhere({ feedRegistry }: WaitingServices, reply: BegunReply, signal: AbortSignal): Promise<void> {
  const held = await feedRegistry.acquire(reply.conversationId);
  try {
    if (held) await ended(held.feed, reply, signal);
  } finally {
    held?.release();
  }
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

/** Whether a reply that runs here has ended soon, and before the signal aborts. */
function endedSoon(running: Promise<void>, signal: AbortSignal): Promise<boolean> {
  // Without a signal of its own, whose abort would make an error with a stack trace.
  return new Promise((resolve) => {
    const settle = (hasEnded: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      resolve(hasEnded);
    };
    const giveUp = () => settle(false);
    const timer = setTimeout(giveUp, SOON_MS);
    signal.addEventListener('abort', giveUp);
    running.then(() => settle(true), giveUp);
    if (signal.aborted) giveUp();
  });
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
  const after: { rows: Rows | null } = { rows: null };
  const read = async () => {
    after.rows = await readRows(services.pool, { conversationId, messageId, replyId });
    return after.rows;
  };
  const refusal = await patiently(services, caller, AWAIT_REPLY_MS, async (signal) => {
    const running = services.runner.running(replyId);
    // A server that has lost the reply runs it no longer, though it has not ended.
    if (running && (await endedSoon(running, signal)) && (await read())?.reply?.status !== 'IN_PROGRESS') return;
    await endedAnywhere(services, { conversationId, version, replyId }, signal);
    await read();
  }).catch((error: unknown) => {
    services.logger.warn({ err: error, conversationId, replyId }, 'could not wait for a reply');
    return null;
  });
  if (refusal) throw refusal;
  return { ...committed, rows: after.rows ?? committed.rows };
}
