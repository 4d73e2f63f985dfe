import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { viewerOf } from './api-keys.ts';
import type { Credentials } from './credentials.ts';
import type { KeyUses } from './key-uses.ts';
import type { Standing } from './standing.ts';
import { keyScopes, type Viewer } from './viewer.ts';

const COOKIE = 'parley_local';

/** Who is asking; or that it is nobody who is known, or somebody whose credential has expired. */
export type Identity = Viewer | 'UNKNOWN' | 'EXPIRED';

/** Finds out who is asking. */
export interface Authenticator {
  /** By the `Authorization` header, or by what came instead of it. */
  authenticate(req: IncomingMessage, authorization?: string): Promise<Identity>;
  /** Whether pages on this machine are signed in at all. */
  signsLocalPagesIn: boolean;
  /** The header that signs a page on this machine in; null where pages do not sign themselves in. */
  localCookie(req: IncomingMessage): string | null;
}

/**
 * API keys and client tokens, and for the embedded default the pages that this server itself shows to this machine: they sign in with a
 * cookie that lives as long as the process. It is honoured only from this machine, under a local name, and from this origin.
 */
export function createAuthenticator(options: {
  credentials: Credentials;
  standing: Standing;
  keyUses: KeyUses;
  localOrganizationId: string | null;
}): Authenticator {
  const secret = randomBytes(24).toString('base64url');
  const { credentials, standing, keyUses, localOrganizationId } = options;
  const local =
    localOrganizationId === null
      ? null
      : viewerOf({
          id: 'local',
          keyId: null,
          organizationId: localOrganizationId,
          name: 'This machine',
          scopes: [...keyScopes],
          expiresAt: null,
        });

  return {
    signsLocalPagesIn: localOrganizationId !== null,
    async authenticate(req, authorization = req.headers.authorization) {
      const credential = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
      if (credential) {
        const viewer = await credentials.holderOf(credential);
        const fault = viewer && standing.faultOf(viewer);
        if (fault === 'EXPIRED') return 'EXPIRED';
        if (!viewer || fault) return 'UNKNOWN';
        if (viewer.kind === 'API_KEY' && viewer.keyId !== null) keyUses.note(viewer.keyId);
        return viewer;
      }
      if (authorization || localOrganizationId === null || !isLocal(req)) return 'UNKNOWN';
      const signedIn = req.headers.cookie?.split(/; */).includes(`${COOKIE}=${secret}`);
      return (signedIn && local) || 'UNKNOWN';
    },
    localCookie(req) {
      if (localOrganizationId === null || !isLocal(req)) return null;
      return `${COOKIE}=${secret}; HttpOnly; SameSite=Strict; Path=/`;
    },
  };
}

/** A name check keeps out pages that point a name of their own at this machine; behind a proxy, anybody may be asking. */
function isLocal(req: IncomingMessage): boolean {
  const address = req.socket.remoteAddress ?? '';
  const host = (req.headers.host ?? '').replace(/:\d+$/, '');
  const { origin } = req.headers;
  const isForwarded = ['forwarded', 'via', 'x-forwarded-for'].some((name) => name in req.headers);
  return (
    !isForwarded &&
    /^(127\.|::1$|::ffff:127\.)/.test(address) &&
    ['localhost', '127.0.0.1', '[::1]'].includes(host) &&
    (origin === undefined || origin === `http://${req.headers.host ?? ''}`)
  );
}
