import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Pool } from '../../db.ts';
import type { OperatorHolder } from '../../access/caller.ts';
import { mintOperatorToken } from '../../access/operator-tokens.ts';
import { SESSION_SECONDS } from '../../access/session-cookie.ts';
import { openToken, setupTokenOf, signToken } from '../../access/signed-tokens.ts';
import { UnavailableError } from '../../errors.ts';
import type { NewId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import { nobodyHasSignedIn, signInAs } from './identity.ts';
import { Provider, type ProviderSettings } from './provider.ts';
import { SignInRefused } from './refused.ts';

/** Where a browser begins to sign in, and where the provider sends it back to. */
export const BEGIN_PATH = '/sign-in/oidc';
export const CALLBACK_PATH = '/sign-in/oidc/callback';

/** How long somebody may take at the provider, in seconds. */
export const ERRAND_SECONDS = 600;
export const ERRAND_ISSUER = 'parley/sign-in';

/** Sign-ins that may wait for the provider at a time, to begin, and as many to finish: whoever begins keeps nobody from finishing. */
const MOST_AT_ONCE = 20;

const errandSchema = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  knowsSetupToken: z.boolean(),
});

/** Signs operators in by OpenID Connect. What a browser must bring back is kept in a signed cookie, so that any server may finish. */
export class OperatorSignIn {
  private readonly services: { pool: Pool; newId: NewId; logger: Logger };
  private readonly organizationId: string;
  private readonly origin: string;
  private readonly provider: Provider;
  private readonly waiting = { begin: 0, finish: 0 };

  constructor(
    services: { pool: Pool; newId: NewId; logger: Logger },
    options: { organizationId: string; origin: string; provider: ProviderSettings },
  ) {
    this.services = services;
    this.organizationId = options.organizationId;
    this.origin = options.origin;
    this.provider = new Provider(options.provider, `${options.origin}${CALLBACK_PATH}`);
  }

  /** The link by which the first admin signs in. Null once anybody has signed in. */
  async setupLink(): Promise<string | null> {
    const { pool } = this.services;
    if (!(await nobodyHasSignedIn(pool, this.organizationId))) return null;
    return `${this.origin}${BEGIN_PATH}?setup=${await setupTokenOf(pool, this.organizationId)}`;
  }

  /** Where to send the browser, and the errand that it keeps meanwhile. */
  async begin(setup: string | null): Promise<{ location: string; errand: string }> {
    const { pool } = this.services;
    const { organizationId } = this;
    const knowsSetupToken = setup !== null && isSame(setup, await setupTokenOf(pool, organizationId));
    const { url, errand } = await this.atOnce('begin', () => this.provider.begin());
    const claims = { ...errand, knowsSetupToken };
    const expiresAt = new Date(Date.now() + ERRAND_SECONDS * 1000);
    const token = await signToken(pool, { issuer: ERRAND_ISSUER, organizationId, claims, expiresAt });
    return { location: url.href, errand: token };
  }

  /** The session of whoever comes back with their errand. Throws `SignInRefused`. */
  async finish(query: string, errandToken: string | null): Promise<string> {
    const { pool, logger } = this.services;
    const { organizationId } = this;
    const token = { organizationId, issuer: ERRAND_ISSUER, text: errandToken ?? '' };
    const errand = await openToken(pool, token, errandSchema);
    if (!errand)
      throw new SignInRefused('You have not begun to sign in with this browser, or it is too long ago. Begin again.');
    const identity = await this.atOnce('finish', () => this.provider.finish(query, errand)).catch((error: unknown) => {
      logger.info({ err: error }, 'refused a sign-in');
      throw error;
    });
    const signedIn = await signInAs(this.services, organizationId, identity, errand);
    if (signedIn.outcome === 'SUSPENDED') throw new SignInRefused('You are suspended. Ask an admin to reinstate you.');
    if (signedIn.outcome === 'SETUP_NEEDED') {
      throw new SignInRefused(
        'Nobody has signed in yet. The first must open the link that the server printed when it started.',
      );
    }
    return this.sessionOf(signedIn.holder);
  }

  /** Ends all sessions and tokens of an operator, of whichever organization. Throws `SignInRefused` if there is no such operator. */
  async signOut({ operatorId, organizationId }: { operatorId: string; organizationId: string }): Promise<void> {
    const { rowCount } = await this.services.pool.query({
      text: 'UPDATE operator SET token_generation = token_generation + 1 WHERE id = $1 AND organization_id = $2',
      values: [operatorId, organizationId],
    });
    if (rowCount === 0) throw new SignInRefused('You are not signed in.');
  }

  private sessionOf(holder: OperatorHolder): Promise<string> {
    const expiresAt = new Date(Date.now() + SESSION_SECONDS * 1000);
    const { organizationId } = this;
    return mintOperatorToken(this.services.pool, { organizationId, holder, keyId: null, issuers: [], expiresAt });
  }

  private async atOnce<T>(step: 'begin' | 'finish', work: () => Promise<T>): Promise<T> {
    if (this.waiting[step] >= MOST_AT_ONCE) throw new UnavailableError('Too many people are signing in. Try again.', 1);
    this.waiting[step] += 1;
    try {
      return await work();
    } finally {
      this.waiting[step] -= 1;
    }
  }
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
