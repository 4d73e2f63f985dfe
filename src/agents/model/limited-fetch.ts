import { MAX_BYTES, MAX_ERROR_BYTES, MAX_EVENT_BYTES, TooMuchError } from './limits.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * `fetch` for streams of server-sent events that never buffers more than a bounded part of the response. Follows no
 * redirects, which could send the key elsewhere. Reading the body throws a `RuntimeError` if the response is too long.
 */
export const limitedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, redirect: 'manual' });
  const { body, status, statusText, headers } = response;
  if (!body) return response;
  return new Response(body.pipeThrough(response.ok ? boundEvents() : truncate()), { status, statusText, headers });
};

/** Passes data on until one event, or all events together, are too long. */
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
        controller.error(new TooMuchError());
      } else {
        controller.enqueue(chunk);
      }
    },
  });
}

/** Passes on the beginning and drops the rest. */
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
