import type { IncomingMessage } from 'node:http';
import type { FetchAPI } from 'graphql-yoga';
import type { Viewer } from '../access/viewer.ts';
import type { Arrival } from './arrivals.ts';
import { badUserInput, requestTooLarge } from './errors.ts';
import { requestBytes } from './operation-limits.ts';

/**
 * The request with its body, read to the end from the connection itself: streams of the web cost more than all else that is done
 * to receive it. Throws if the body is larger than its viewer may send, whatever length it declared, or if too much is in the air.
 */
export async function withBody(
  request: Request,
  incoming: IncomingMessage,
  { viewer, arrival, fetchAPI }: { viewer: Viewer; arrival: Arrival; fetchAPI: Pick<FetchAPI, 'Request'> },
): Promise<Request> {
  const limit = bytesFor(viewer);
  if (Number(incoming.headers['content-length']) > limit) throw requestTooLarge();
  const { url, method, headers } = request;
  return new fetchAPI.Request(url, { method, headers, body: await readBody(incoming, limit, arrival) });
}

function bytesFor({ kind }: Viewer): number {
  if (kind === 'STRANGER') return requestBytes.stranger;
  return kind === 'CLIENT_TOKEN' ? requestBytes.clientToken : requestBytes.key;
}

function readBody(incoming: IncomingMessage, limit: number, arrival: Arrival): Promise<Buffer<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let fault: Error | null | undefined = null;
    incoming.on('data', (chunk: Buffer) => {
      if (fault) return;
      bytes += chunk.byteLength;
      fault = bytes > limit ? requestTooLarge() : arrival.add(chunk.byteLength);
      if (!fault) chunks.push(chunk);
      else {
        // What still arrives is thrown away.
        chunks.length = 0;
        reject(fault);
      }
    });
    incoming.once('end', () => resolve(Buffer.concat(chunks)));
    for (const event of ['error', 'close']) {
      incoming.once(event, () => {
        // Every request closes; making an error takes a tenth of a small one's time.
        if (!incoming.readableEnded) reject(badUserInput('The request broke off.'));
      });
    }
  });
}
