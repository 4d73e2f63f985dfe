import { RuntimeError } from '../runtime.ts';

/** The longest answer, in bytes: beyond what any model writes at once, and little enough to be held. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The longest single event, in bytes: clients hold an event until it is complete. */
const MAX_EVENT_BYTES = 1024 * 1024;

/** What is read of an answer that is an error, in bytes. */
const MAX_ERROR_BYTES = 64 * 1024;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * `fetch` for streams of server-sent events, which cannot be made to hold more than a bounded part of the answer. Follows no
 * redirect: it could take the key elsewhere. Reading the body throws a `RuntimeError` when the answer is too long.
 */
export const limitedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, redirect: 'manual' });
  const { body, status, statusText, headers } = response;
  if (!body) return response;
  return new Response(body.pipeThrough(response.ok ? boundEvents() : truncate()), { status, statusText, headers });
};

/** Passes everything on until an event, or all of them together, are too long. */
function boundEvents(): TransformStream<Uint8Array, Uint8Array> {
  let total = 0;
  let event = 0;
  let line = 0;
  return new TransformStream({
    transform(chunk, controller) {
      total += chunk.byteLength;
      for (const byte of chunk) {
        event += 1;
        if (byte === LINE_FEED) {
          // A blank line ends an event.
          if (line === 0) event = 0;
          line = 0;
        } else if (byte !== CARRIAGE_RETURN) {
          line += 1;
        }
        if (event > MAX_EVENT_BYTES) break;
      }
      if (event > MAX_EVENT_BYTES || total > MAX_BYTES) {
        controller.error(new RuntimeError('The model sent more at once than can be taken.'));
      } else {
        controller.enqueue(chunk);
      }
    },
  });
}

/** Passes the beginning on and drops the rest. */
function truncate(): TransformStream<Uint8Array, Uint8Array> {
  let total = 0;
  return new TransformStream({
    transform(chunk, controller) {
      total += chunk.byteLength;
      controller.enqueue(chunk);
      if (total > MAX_ERROR_BYTES) controller.terminate();
    },
  });
}
