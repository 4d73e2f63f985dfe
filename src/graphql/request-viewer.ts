import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import type { Identity } from '../access/authenticate.ts';
import { networkOf } from '../access/network.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Allowance } from '../access/rate-windows.ts';
import { strangerFrom } from '../access/viewer.ts';
import type { Arrivals } from './arrivals.ts';
import { tokenExpired, tooManyOperations, unauthenticated } from './errors.ts';
import type { ServerContext } from './http.ts';
import { withBody } from './request-body.ts';

/**
 * Authenticates before the request is read. Of strangers only so much is read that a visit can start, and they get the same answer
 * to every other request.
 */
export function requireViewer(
  authenticate: (req: IncomingMessage) => Promise<Identity>,
  rateLimits: RateLimits,
  arrivals: Arrivals,
  trustedProxies: number,
): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ serverContext, requestParser, setRequestParser, fetchAPI }) {
      const { req } = serverContext;
      const identity = await authenticate(req);
      if (identity === 'EXPIRED') throw tokenExpired();
      const mayVisit = requestParser && req.method === 'POST' && req.headers.authorization === undefined;
      if (identity === 'UNKNOWN' && !mayVisit) throw unauthenticated();
      const viewer = identity === 'UNKNOWN' ? strangerFrom(networkOf(req, trustedProxies)) : identity;
      serverContext.viewer = viewer;
      const arrival = arrivals.begin(viewer);
      serverContext.arrival = arrival;
      if (serverContext.req.socket.destroyed) arrival.end();
      else serverContext.res.once('close', () => arrival.end());
      if (requestParser && serverContext.req.method === 'POST') {
        setRequestParser(async (request) => {
          try {
            const parsed = await requestParser(await withBody(request, req, { viewer, arrival, fetchAPI }));
            if (identity === 'UNKNOWN' && Array.isArray(parsed)) throw unauthenticated();
            return parsed;
          } catch (error) {
            throw identity === 'UNKNOWN' ? unauthenticated() : error;
          }
        });
      }
      if (identity === 'UNKNOWN') return;
      const allowance = await rateLimits.take(viewer, 1);
      if (!allowance) return;
      tell(serverContext.res, allowance);
      if (!allowance.allowed) throw tooManyOperations(allowance);
    },
  };
}

/** Tells in headers what a viewer may still do. */
export function tell(res: ServerResponse, { limit, remaining, resetSeconds }: Allowance): void {
  res.setHeader('RateLimit-Limit', limit);
  res.setHeader('RateLimit-Remaining', remaining);
  res.setHeader('RateLimit-Reset', resetSeconds);
}
