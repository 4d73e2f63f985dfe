import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticate } from '../access/authenticate.ts';
import { networkOf } from '../access/network.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import { cookieOf, type SessionCookie } from '../access/session-cookie.ts';
import { UnavailableError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { SignInRefused } from '../operators/sign-in/refused.ts';
import { BEGIN_PATH, CALLBACK_PATH, ERRAND_SECONDS, type OperatorSignIn } from '../operators/sign-in/sign-in.ts';

/** Where a page ends its session. */
export const SIGN_OUT_PATH = '/sign-out';

const ERRAND_COOKIE = 'parley-sign-in';

export interface SignInRoutesOptions {
  signIn: OperatorSignIn;
  cookie: SessionCookie;
  authenticate: Authenticate;
  rateLimits: RateLimits;
  trustedProxies: number;
  logger: Logger;
}

/** Whether a path belongs to signing in with a provider. */
export function isSignInRoute(path: string): boolean {
  return [BEGIN_PATH, CALLBACK_PATH, SIGN_OUT_PATH].includes(path);
}

/** Answers the requests of browsers that sign in with a provider, or out. */
export async function signInRoute(
  { signIn, cookie, authenticate, rateLimits, trustedProxies, logger }: SignInRoutesOptions,
  path: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  res.setHeader('Cache-Control', 'no-store');
  const errandName = cookie.nameOf(ERRAND_COOKIE);
  const errandCookie = (value: string, seconds: number) =>
    // Lax: the provider sends the browser back here from its own site.
    cookie.cookie(errandName, value, { sameSite: 'Lax', seconds });
  const query = new URL(req.url ?? '/', cookie.origin).search;
  try {
    if (path === SIGN_OUT_PATH) {
      const viewer = req.method === 'POST' ? await authenticate(req) : 'UNKNOWN';
      if (typeof viewer === 'string' || viewer.operatorId === null) throw new SignInRefused('You are not signed in.');
      await signIn.signOut({ operatorId: viewer.operatorId, organizationId: viewer.organizationId });
      res.setHeader('Set-Cookie', cookie.end());
      return void res.writeHead(204).end();
    }
    if (req.method !== 'GET') return answer(res, 405, 'Open this address in a browser.');
    const allowance = await rateLimits.takeSignIn(networkOf(req, trustedProxies));
    if (allowance?.allowed === false) {
      res.setHeader('Retry-After', String(allowance.resetSeconds));
      return answer(res, 429, 'Too many people sign in from where you are. Try again later.');
    }
    if (path === BEGIN_PATH) {
      const { location, errand } = await signIn.begin(new URLSearchParams(query).get('setup'));
      res.setHeader('Set-Cookie', errandCookie(errand, ERRAND_SECONDS));
      return void res.writeHead(302, { Location: location }).end();
    }
    res.setHeader('Set-Cookie', errandCookie('', 0));
    const session = await signIn.finish(query, cookieOf(req, errandName));
    res.setHeader('Set-Cookie', [errandCookie('', 0), cookie.begin(session)]);
    res.writeHead(302, { Location: '/' }).end();
  } catch (error) {
    if (error instanceof SignInRefused) return answer(res, 403, error.message);
    if (error instanceof UnavailableError) {
      res.setHeader('Retry-After', String(error.retryAfter));
      return answer(res, 503, error.message);
    }
    logger.error({ err: error }, 'could not sign somebody in');
    answer(res, 502, 'The provider cannot be reached. Try again.');
  }
}

function answer(res: ServerResponse, status: number, error: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
}
