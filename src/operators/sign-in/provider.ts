import * as oidc from 'openid-client';
import { z } from 'zod';
import { isEmailAddress } from '../../email-address.ts';
import type { Identity } from './identity.ts';
import { SignInRefused } from './refused.ts';

/** How long the provider may take to answer, in seconds. */
const PATIENCE_SECONDS = 10;

export interface ProviderSettings {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** Lower case. */
  allowedDomains: readonly string[];
}

/** What is remembered in the browser while its user is at the provider. */
export interface Errand {
  state: string;
  nonce: string;
  verifier: string;
}

const claimsSchema = z.object({
  iss: z.string().min(1).max(2048),
  sub: z.string().min(1).max(255),
  email: z.string().max(254).nullish(),
  email_verified: z.boolean().nullish(),
  // Nobody is refused for these.
  name: z.string().max(10_000).optional().catch(undefined),
  picture: z.string().max(2048).optional().catch(undefined),
});

/** The OpenID provider that says who somebody is. It is asked what it can do when it is first needed. */
export class Provider {
  private readonly settings: ProviderSettings;
  private readonly redirectUri: string;
  private discovered: Promise<oidc.Configuration> | null = null;

  constructor(settings: ProviderSettings, redirectUri: string) {
    this.settings = settings;
    this.redirectUri = redirectUri;
  }

  /** Where to send a browser. */
  async begin(): Promise<{ url: URL; errand: Errand }> {
    const configuration = await this.configuration();
    const errand = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier() };
    const url = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: this.redirectUri,
      scope: 'openid email profile',
      state: errand.state,
      nonce: errand.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(errand.verifier),
      code_challenge_method: 'S256',
    });
    return { url, errand };
  }

  /** Who came back from there, with this query. Throws `SignInRefused` for anything that does not fit the errand. */
  async finish(query: string, { state, nonce, verifier }: Errand): Promise<Identity> {
    const configuration = await this.configuration();
    try {
      const tokens = await oidc.authorizationCodeGrant(configuration, new URL(`${this.redirectUri}${query}`), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      const claims = claimsSchema.parse(tokens.claims());
      const more = claims.email == null && (await oidc.fetchUserInfo(configuration, tokens.access_token, claims.sub));
      return this.identityIn(more ? claimsSchema.parse({ ...more, iss: claims.iss, sub: claims.sub }) : claims);
    } catch (error) {
      if (error instanceof SignInRefused) throw error;
      throw new SignInRefused('The provider did not confirm who you are. Begin again.', { cause: error });
    }
  }

  private identityIn({
    iss,
    sub,
    email,
    email_verified: isVerified,
    name,
    picture,
  }: z.output<typeof claimsSchema>): Identity {
    if (email == null || isVerified !== true) {
      throw new SignInRefused('The provider has not verified your email address.');
    }
    const domain = email.slice(email.lastIndexOf('@') + 1).toLowerCase();
    if (!isEmailAddress(email) || !this.settings.allowedDomains.includes(domain)) {
      throw new SignInRefused('People with your email address may not sign in here.');
    }
    const isPicture = picture !== undefined && URL.canParse(picture) && /^https?:$/.test(new URL(picture).protocol);
    return { issuer: iss, subject: sub, email, name: name ?? '', avatarUrl: isPicture ? picture : null };
  }

  private configuration(): Promise<oidc.Configuration> {
    this.discovered ??= this.discover().catch((error: unknown) => {
      this.discovered = null;
      throw error;
    });
    return this.discovered;
  }

  private async discover(): Promise<oidc.Configuration> {
    const { issuer, clientId, clientSecret } = this.settings;
    const execute = [
      // The keys of the provider are checked too, not only the connection to it.
      oidc.enableNonRepudiationChecks,
      // Only for a provider on this machine: see `checkIssuer`.
      // eslint-disable-next-line @typescript-eslint/no-deprecated
      ...(issuer.startsWith('http:') ? [oidc.allowInsecureRequests] : []),
    ];
    return oidc.discovery(new URL(issuer), clientId, clientSecret, undefined, { timeout: PATIENCE_SECONDS, execute });
  }
}
