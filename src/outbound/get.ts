import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { OutboundRules } from './post.ts';
import { assertNotPrivate, publicLookup } from './public-address.ts';

/** How many redirects are followed. */
const MAX_REDIRECTS = 3;

/** An address that somebody else chose gives no file. The message is shown to whoever chose it. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError';
}

/**
 * Gets what is at an address that somebody else chose. Resolves with a successful answer as soon as its headers are there; its body is
 * the caller's to read or destroy. Follows a few redirects, each checked like the first address, and connects only to the very addresses
 * that were checked. Throws `NoAnswerError` for any other answer.
 */
export async function get(url: URL, options: OutboundRules & { signal: AbortSignal }): Promise<IncomingMessage> {
  let next = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await getOnce(next, options);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) return response;
    response.on('error', () => undefined).destroy();
    const isRedirect = [301, 302, 303, 307, 308].includes(statusCode) && headers.location !== undefined;
    if (!isRedirect) throw new NoAnswerError(`answered with status ${statusCode}`);
    if (!URL.canParse(headers.location ?? '', next)) throw new NoAnswerError('redirects to no address');
    next = new URL(headers.location ?? '', next);
    if (!/^https?:$/.test(next.protocol)) throw new NoAnswerError('redirects to no web address');
    if (url.protocol === 'https:' && next.protocol === 'http:') throw new NoAnswerError('redirects away from TLS');
  }
  throw new NoAnswerError(`redirects more than ${MAX_REDIRECTS} times`);
}

/** On a connection of its own: a kept one could have been opened under other rules. */
function getOnce(url: URL, { allowPrivateAddresses, resolve, signal }: OutboundRules & { signal: AbortSignal }) {
  if (!allowPrivateAddresses) assertNotPrivate(url);
  return new Promise<IncomingMessage>((done, fail) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        agent: false,
        signal,
        headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'Parley' },
        ...(!allowPrivateAddresses && { lookup: publicLookup(resolve) }),
      },
      done,
    );
    request.on('error', fail);
    request.end();
  });
}
