import type { IncomingMessage } from 'node:http';
import type { Credentials } from './credentials.ts';
import type { KeyUses } from './key-uses.ts';
import type { LocalSignIn } from './local-sign-in.ts';
import { isOperatorToken } from './operator-tokens.ts';
import type { SessionCookie } from './session-cookie.ts';
import type { Standing } from './standing.ts';
import type { Viewer } from './viewer.ts';

/** Who is asking, or why nobody can be named: the credential is unknown or has expired. */
export type Identity = Viewer | 'UNKNOWN' | 'EXPIRED';

/**
 * Finds out who is asking, from the `Authorization` header or the value given instead of it: an API key, a token, or the session of a
 * browser on this machine. Without either, from the cookie of an operator who has signed in.
 */
export type Authenticate = (req: IncomingMessage, authorization?: string) => Promise<Identity>;

export function createAuthenticate(options: {
  credentials: Credentials;
  standing: Standing;
  keyUses: KeyUses;
  localSignIn: LocalSignIn | null;
  /** Null if nobody signs in with a provider. */
  sessionCookie: SessionCookie | null;
}): Authenticate {
  const { credentials, standing, keyUses, localSignIn, sessionCookie } = options;
  return async (req, authorization = req.headers.authorization) => {
    const credential =
      authorization === undefined ? sessionCookie?.sessionOf(req) : /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    if (!credential) return 'UNKNOWN';
    // A cookie may hold nothing but a session.
    if (authorization === undefined && !isOperatorToken(credential)) return 'UNKNOWN';
    if (localSignIn?.holds(req, credential)) return (await credentials.ofOperator(localSignIn.operatorId)) ?? 'UNKNOWN';
    const viewer = await credentials.holderOf(credential);
    const fault = viewer && standing.faultOf(viewer);
    if (fault === 'EXPIRED') return 'EXPIRED';
    if (!viewer || fault) return 'UNKNOWN';
    if (viewer.kind === 'API_KEY' && viewer.keyId !== null) keyUses.note(viewer.keyId);
    return viewer;
  };
}
