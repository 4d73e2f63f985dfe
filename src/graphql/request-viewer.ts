import type { Plugin } from 'graphql-yoga';
import { networkOf } from '../access/network.ts';
import { strangerFrom } from '../access/viewer.ts';
import { tokenExpired, unauthenticated } from './errors.ts';
import type { ServerContext } from './http.ts';

/**
 * Authenticates before the request is read. Of strangers only so much is read that a visit can start, and they get the same answer
 * to every other request.
 */
export function requireViewer(trustedProxies: number): Plugin<object, ServerContext> {
  return {
    async onRequestParse({ serverContext, requestParser, setRequestParser, fetchAPI }) {
      const { req, reception } = serverContext;
      const identity = await reception.identity();
      if (identity === 'EXPIRED') throw tokenExpired();
      const mayVisit = requestParser && req.method === 'POST' && req.headers.authorization === undefined;
      if (identity === 'UNKNOWN' && !mayVisit) throw unauthenticated();
      const viewer = identity === 'UNKNOWN' ? strangerFrom(networkOf(req, trustedProxies)) : identity;
      serverContext.viewer = viewer;
      serverContext.arrival = reception.arrival(viewer);
      if (requestParser && req.method === 'POST') {
        setRequestParser(async ({ url, method, headers }) => {
          try {
            const body = await reception.body(viewer);
            const parsed = await requestParser(new fetchAPI.Request(url, { method, headers, body }));
            if (identity === 'UNKNOWN' && Array.isArray(parsed)) throw unauthenticated();
            return parsed;
          } catch (error) {
            throw identity === 'UNKNOWN' ? unauthenticated() : error;
          }
        });
      }
      if (identity !== 'UNKNOWN') await reception.count(viewer);
    },
  };
}
