import type { IncomingMessage } from 'node:http';
import type pg from 'pg';
import { findViewerByKey } from './api-keys.ts';
import { findViewerByToken, looksLikeToken } from './client-tokens.ts';
import type { LocalSignIn } from './local-sign-in.ts';
import type { Viewer } from './viewer.ts';

/**
 * Finds out who is asking, by the `Authorization` header or by what came instead of it: an API key, a client token, or the
 * session of a browser on this machine. Null: nobody that is known.
 */
export type Authenticate = (req: IncomingMessage, authorization?: string) => Promise<Viewer | null>;

export function createAuthenticate(pool: pg.Pool, localSignIn: LocalSignIn | null): Authenticate {
  return async (req, authorization = req.headers.authorization) => {
    const credential = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (!credential) return null;
    const local = localSignIn?.authenticate(req, credential);
    if (local) return local;
    return looksLikeToken(credential) ? findViewerByToken(pool, credential) : findViewerByKey(pool, credential);
  };
}
