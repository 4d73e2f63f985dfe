import { request as httpRequest, type IncomingMessage } from 'node:http';
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
}

/**
 * Sends a body by POST to an address that somebody else chose. Resolves with the answer as soon as its headers are there; its body is
 * the caller's to read or destroy. Follows no redirects, and connects only to the very addresses that were checked: over a connection of
 * its own, since a kept one could have been opened under other rules.
 */
export function post(url: URL, body: string | Buffer, options: PostOptions): Promise<IncomingMessage> {
  const { allowPrivateAddresses, resolve, headers, signal } = options;
  if (!allowPrivateAddresses) assertNotPrivate(url);
  return new Promise((done, fail) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        agent: false,
        signal,
        ...(!allowPrivateAddresses && { lookup: publicLookup(resolve) }),
      },
      done,
    );
    request.on('error', fail);
    request.end(body);
  });
}
