import type { IncomingMessage } from 'node:http';
import type { Viewer } from '../access/viewer.ts';
import type { Arrival } from './arrivals.ts';
import { badUserInput, requestTooLarge } from './errors.ts';
import { requestBytes } from './operation-limits.ts';

function bytesFor({ kind }: Viewer): number {
  if (kind === 'STRANGER') return requestBytes.stranger;
  return kind === 'CLIENT_TOKEN' ? requestBytes.clientToken : requestBytes.key;
}

/**
 * The body of a request, read to the end from the connection itself: streams of the web cost more than all else that is done to
 * receive it. Rejects if it is larger than its viewer may send, whatever length it declared, or if too much is in the air.
 */
export function readBody(incoming: IncomingMessage, viewer: Viewer, arrival: Arrival): Promise<Buffer<ArrayBuffer>> {
  const limit = bytesFor(viewer);
  return new Promise((resolve, reject) => {
    if (Number(incoming.headers['content-length']) > limit) return reject(requestTooLarge());
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
        // Every request closes; an error is made only for those that broke off.
        if (!incoming.readableEnded) reject(badUserInput('The request broke off.'));
      });
    }
  });
}
