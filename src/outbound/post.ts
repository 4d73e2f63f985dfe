import { type Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { assertNotPrivate, publicLookup, type Resolve } from './public-address.ts';

/** Which addresses may be called. */
export interface OutboundRules {
  /** Whether loopback, private and link-local addresses may be called. */
  allowPrivateAddresses: boolean;
  resolve?: Resolve;
}

export interface PostOptions extends OutboundRules {
  headers: Readonly<Record<string, string>>;
  /** Ends the request, also while its answer is read. */
  signal: AbortSignal;
  /**
   * Ends it with a `PostTimeoutError` when it has not ended, its answer included, after so many milliseconds. Without one `signal` alone
   * ends it.
   */
  timeoutMs?: number;
  /**
   * Keeps connections. Must be for one protocol, and for calls under the same rules: a kept connection is not checked again.
   * Without one each call has a connection of its own.
   */
  agent?: Agent;
}

/** A request took longer than it may. */
export class PostTimeoutError extends Error {
  override name = 'PostTimeoutError';
}

/**
 * Sends a body by POST to an address that somebody else chose. Resolves with the answer as soon as its headers are there; its body is
 * the caller's to read or destroy. Follows no redirects, and connects only to the very addresses that were checked.
 */
export function post(url: URL, body: string | Buffer, options: PostOptions): Promise<IncomingMessage> {
  const { allowPrivateAddresses, resolve, headers, signal, timeoutMs, agent } = options;
  if (!allowPrivateAddresses) assertNotPrivate(url);
  const began = performance.now();
  return new Promise((done, fail) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        agent: agent ?? false,
        signal,
        ...(!allowPrivateAddresses && { lookup: publicLookup(resolve) }),
      },
      done,
    );
    if (timeoutMs !== undefined) {
      const timer = setTimeout(() => request.destroy(new PostTimeoutError('It took too long.')), timeoutMs);
      request.on('close', () => clearTimeout(timer));
    }
    request.on('error', (error: NodeJS.ErrnoException) => {
      // The other side may close a kept connection at the moment at which it is used.
      const wasClosed = request.reusedSocket && error.code === 'ECONNRESET';
      if (wasClosed && !signal.aborted) {
        const { agent: _kept, ...fresh } = options;
        const left = timeoutMs === undefined ? {} : { timeoutMs: timeoutMs - (performance.now() - began) };
        post(url, body, { ...fresh, ...left }).then(done, fail);
      } else {
        fail(error);
      }
    });
    request.end(body);
  });
}
