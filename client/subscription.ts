import { type ConversationEvent, isConversationEvent } from './events.ts';

/** The part of a GraphQL client that is needed to subscribe. A graphql-ws client has it. */
export interface StreamClient {
  subscribe(
    request: { query: string; variables: Record<string, unknown> },
    sink: { next(result: unknown): void; error(reason: unknown): void; complete(): void },
  ): () => void;
}

/** The server refuses a stream, and trying again would not help. */
export class FollowError extends Error {
  override readonly name = 'FollowError';
  /** A code such as `NOT_FOUND` or `BAD_USER_INPUT`, or the close code of the socket. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Outcome {
  /** Undefined if the stream is complete. */
  reason?: unknown;
}

/**
 * The events of one subscription, until it completes or the signal aborts. Throws the error that ended it otherwise. `received`
 * is called for each event on arrival, which may be long before the event is consumed.
 */
export async function* subscribed(
  client: StreamClient,
  request: { query: string; variables: Record<string, unknown> },
  signal: AbortSignal,
  received: (event: ConversationEvent) => void,
): AsyncGenerator<ConversationEvent, void, undefined> {
  const waiting: ConversationEvent[] = [];
  let outcome: Outcome | undefined;
  let wake = () => {};
  const end = (how: Outcome) => {
    outcome ??= how;
    wake();
  };
  const abort = () => end({});
  signal.addEventListener('abort', abort);
  const unsubscribe = client.subscribe(request, {
    next(result) {
      const { event, errors } = read(result);
      // A field that failed is null although it may have a value, so the event is requested again.
      if (!event || (errors.length > 0 && !refusalIn(errors))) return end({ reason: errors });
      if (outcome) return;
      received(event);
      waiting.push(event);
      wake();
    },
    error: (reason) => end({ reason }),
    complete: () => end({}),
  });
  try {
    for (;;) {
      const event = waiting.shift();
      if (signal.aborted) return;
      if (event) yield event;
      else if (!outcome) await new Promise<void>((resolve) => (wake = resolve));
      else if ('reason' in outcome) throw outcome.reason;
      else return;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Called after the end too: a client may rely on it to close the socket.
    unsubscribe();
  }
}

/** Close codes from 4400 to 4499 after which a retry may succeed: timeouts, a reader that was too slow, and a socket that froze. */
const temporaryCloses = [4408, 4413, 4418, 4499];
const temporaryCodes = ['INTERNAL_SERVER_ERROR', 'RATE_LIMITED', 'SERVICE_UNAVAILABLE'];

/** The error to throw if trying again would not help. Null if it may help. */
export function refusalIn(reason: unknown): FollowError | null {
  if (Array.isArray(reason)) {
    const faults = reason.map(readFault);
    const fault = faults.find(({ code }) => !temporaryCodes.includes(code));
    return fault ? new FollowError(fault.code, fault.message) : null;
  }
  if (!isRecord(reason) || typeof reason.code !== 'number') return null;
  const { code } = reason;
  if (code < 4400 || code > 4499 || temporaryCloses.includes(code)) return null;
  return new FollowError(String(code), typeof reason.reason === 'string' ? reason.reason : 'The socket was closed.');
}

function read(result: unknown): { event: ConversationEvent | null; errors: unknown[] } {
  if (!isRecord(result)) return { event: null, errors: [] };
  const event = isRecord(result.data) ? result.data.event : null;
  return {
    event: isConversationEvent(event) ? event : null,
    errors: Array.isArray(result.errors) ? result.errors : [],
  };
}

function readFault(error: unknown): { code: string; message: string } {
  const { message, extensions } = isRecord(error) ? error : {};
  const code = isRecord(extensions) ? extensions.code : undefined;
  return {
    code: typeof code === 'string' ? code : 'UNKNOWN',
    message: typeof message === 'string' ? message : 'The subscription was refused.',
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
