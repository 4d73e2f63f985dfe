import { conversationEventsDocument, replyEventsDocument } from './documents.ts';
import type { ConversationEvent } from './events.ts';
import { refusalIn, type StreamClient, subscribed } from './subscription.ts';

export interface FollowOptions {
  /** Ends the stream without an error. */
  signal?: AbortSignal;
  /**
   * Called when the connection is lost or fails, with the number of failures since the last event, from 0. Resolve it
   * to try again, or reject it to give up. Default: waits 250 ms, then longer each time up to 10 s, and never gives up.
   */
  retryWait?: (attempt: number, reason: unknown, signal: AbortSignal) => Promise<void>;
}

/**
 * The events of a conversation after a cursor, each once and in order, however often the connection is lost. Ends when the
 * conversation is deleted or the client is disposed of. Take `after` from the same response as the page or payload that
 * the view begins with. Create a graphql-ws client with `retryAttempts: 0`, so that only `retryWait` decides about retries.
 * @throws {FollowError} when the server refuses: unknown conversation, malformed cursor, bad credential.
 */
export function followConversation(
  client: StreamClient,
  options: FollowOptions & {
    conversationId: string;
    after: string;
    /** False leaves out the events of fragments. */
    fragments?: boolean;
  },
): AsyncIterableIterator<ConversationEvent, void, undefined> {
  const { conversationId, after, fragments = true } = options;
  return follow(client, conversationEventsDocument, { conversationId, fragments }, after, options);
}

/**
 * The events of one reply, from its beginning or a cursor to its end, each once and in order, however often the connection
 * is lost. Ends early when the conversation is deleted or the client is disposed of.
 * @throws {FollowError} when the server refuses: unknown reply, malformed cursor, bad credential.
 */
export function followReply(
  client: StreamClient,
  options: FollowOptions & { replyId: string; after?: string },
): AsyncIterableIterator<ConversationEvent, void, undefined> {
  return follow(client, replyEventsDocument, { replyId: options.replyId }, options.after ?? null, options);
}

function follow(
  client: StreamClient,
  query: string,
  variables: { conversationId: string; fragments: boolean } | { replyId: string },
  after: string | null,
  { signal, retryWait = backOff }: FollowOptions,
): AsyncIterableIterator<ConversationEvent, void, undefined> {
  const stop = new AbortController();
  const ended = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const replyId = 'replyId' in variables ? variables.replyId : null;

  async function* events(): AsyncGenerator<ConversationEvent, void, undefined> {
    let cursor = after;
    let attempt = 0;
    const request = {
      query,
      variables: {
        ...variables,
        // Read each time the operation is sent, so that a client that resubscribes by itself also resumes.
        get after() {
          return cursor;
        },
      },
    };
    const received = (event: ConversationEvent) => {
      cursor = event.cursor;
      attempt = 0;
    };
    while (!ended.aborted) {
      try {
        for await (const event of subscribed(client, request, ended, received)) {
          yield event;
          if (isLast(event, replyId)) return;
        }
        return;
      } catch (reason) {
        const refusal = refusalIn(reason);
        if (refusal) throw refusal;
        await retryWait(attempt, reason, ended);
        attempt += 1;
      }
    }
  }

  const generator = events();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => generator.next(),
    // Aborts first, since a waiting generator cannot be ended otherwise.
    return: () => {
      stop.abort();
      return generator.return();
    },
  };
}

function isLast(event: ConversationEvent, replyId: string | null): boolean {
  if (event.__typename === 'ConversationDeleted') return true;
  return event.__typename === 'MessageCompleted' && event.message.id === replyId;
}

/** Waits twice as long each time, with some randomness, so that not all clients come back at the same time. */
function backOff(attempt: number, _reason: unknown, signal: AbortSignal): Promise<void> {
  const most = Math.min(10_000, 250 * 2 ** attempt);
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, most * (0.5 + Math.random() / 2));
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
