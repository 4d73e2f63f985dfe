import type { FetchAPI } from 'graphql-yoga';
import type { Viewer } from '../access/viewer.ts';
import type { Arrival } from './arrivals.ts';
import { requestTooLarge } from './errors.ts';
import { requestBytes } from './operation-limits.ts';

/**
 * Limits the body of a request to what its viewer may send, and counts it as it arrives. It is cut off at the limit, whatever
 * length it declared. Throws if the declared length is too large.
 */
export function limitedBody(request: Request, viewer: Viewer, arrival: Arrival, fetchAPI: FetchAPI): Request {
  const limit = viewer.kind === 'CLIENT_TOKEN' ? requestBytes.clientToken : requestBytes.key;
  if (Number(request.headers.get('content-length')) > limit) throw requestTooLarge();
  if (!request.body) return request;
  let bytes = 0;
  const count = new fetchAPI.TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      const fault = bytes > limit ? requestTooLarge() : arrival.add(chunk.byteLength);
      if (fault) controller.error(fault);
      else controller.enqueue(chunk);
    },
  });
  const { method, headers, signal } = request;
  const init = { method, headers, signal, body: request.body.pipeThrough(count), duplex: 'half' };
  return new fetchAPI.Request(request.url, init);
}
